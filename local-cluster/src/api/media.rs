//! Which form an answer has: JSON, YAML or protobuf; whole, as a table, or its metadata only.

use crate::failure::Failure;

/// How an answer is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Format {
    #[default]
    Json,
    Yaml,
    Protobuf,
}

/// What of an object is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum View {
    #[default]
    Whole,
    /// With the version of the table.
    Table(&'static str),
    Metadata,
    MetadataList,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) format: Format,
    pub(crate) view: View,
}

impl Format {
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Format::Json => "application/json",
            Format::Yaml => "application/yaml",
            Format::Protobuf => "application/vnd.kubernetes.protobuf",
        }
    }
}

const TYPES: &str = "application/json, application/yaml, application/vnd.kubernetes.protobuf";

/// One alternative of an Accept header.
struct Clause<'a> {
    media_type: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
}

fn clauses(accept: &str) -> Vec<Clause<'_>> {
    let mut clauses: Vec<(f32, Clause<'_>)> = accept
        .split(',')
        .map(|text| {
            let mut parts = text.split(';').map(str::trim);
            let media_type = parts.next().unwrap_or_default();
            let parameters: Vec<_> = parts.filter_map(|part| part.split_once('=')).collect();
            let quality = parameters.iter().find(|(name, _)| *name == "q").and_then(|(_, q)| q.parse().ok());
            (quality.unwrap_or(1.0), Clause { media_type, parameters })
        })
        .collect();
    clauses.sort_by(|a, b| b.0.total_cmp(&a.0));
    clauses.into_iter().map(|(_, clause)| clause).collect()
}

impl Clause<'_> {
    fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    fn format(&self) -> Option<Format> {
        match self.media_type {
            "application/json" | "*/*" | "application/*" | "" => Some(Format::Json),
            "application/yaml" => Some(Format::Yaml),
            "application/vnd.kubernetes.protobuf" => Some(Format::Protobuf),
            _ => None,
        }
    }

    fn view(&self) -> Option<View> {
        let version = match self.parameter("v") {
            Some("v1beta1") => "v1beta1",
            _ => "v1",
        };
        match (self.parameter("as"), self.parameter("g")) {
            (None, _) => Some(View::Whole),
            (Some("Table"), Some("meta.k8s.io")) => Some(View::Table(version)),
            (Some("PartialObjectMetadata"), Some("meta.k8s.io")) => Some(View::Metadata),
            (Some("PartialObjectMetadataList"), Some("meta.k8s.io")) => Some(View::MetadataList),
            _ => None,
        }
    }
}

/// The first alternative that can be served; `protobuf` says whether the kind has such a form.
pub(crate) fn negotiate(accept: Option<&str>, protobuf: bool) -> Result<Wanted, Failure> {
    let Some(accept) = accept.filter(|accept| !accept.is_empty()) else { return Ok(Wanted::default()) };
    let wanted = clauses(accept).into_iter().find_map(|clause| {
        let format = clause.format().filter(|format| *format != Format::Protobuf || protobuf)?;
        Some(Wanted { format, view: clause.view()? })
    });
    wanted.ok_or_else(|| {
        let known = clauses(accept).iter().any(|clause| clause.format().is_some());
        if protobuf && !known {
            let message = format!("406: Not Acceptable\n\nAvailable representations: {TYPES}");
            return Failure {
                details: Some(serde_json::json!({}).into()),
                ..Failure::new(406, "NotAcceptable", message)
            };
        }
        Failure::new(406, "NotAcceptable", format!("only the following media types are accepted: {TYPES}"))
    })
}

/// A stream of events can't be YAML.
pub(crate) fn negotiate_stream(accept: Option<&str>, protobuf: bool) -> Result<Wanted, Failure> {
    let wanted = negotiate(accept, protobuf);
    match wanted {
        Ok(wanted) if wanted.format != Format::Yaml => Ok(wanted),
        _ => Err(Failure::new(
            406,
            "NotAcceptable",
            "only the following media types are accepted: application/json;stream=watch, \
             application/vnd.kubernetes.protobuf;stream=watch",
        )),
    }
}

/// The form of an error: as asked, whatever the kind; JSON when that can't be told.
pub(crate) fn for_errors(accept: Option<&str>) -> Format {
    let formats = accept.map(clauses).unwrap_or_default();
    formats.into_iter().find_map(|clause| clause.format()).unwrap_or_default()
}

/// What a body is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyFormat {
    Json,
    Yaml,
    Protobuf,
}

pub(crate) fn body_format(content_type: Option<&str>) -> Result<BodyFormat, Failure> {
    let media_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    match media_type {
        "" | "application/json" => Ok(BodyFormat::Json),
        "application/yaml" => Ok(BodyFormat::Yaml),
        "application/vnd.kubernetes.protobuf" => Ok(BodyFormat::Protobuf),
        _ => Err(Failure::new(
            415,
            "UnsupportedMediaType",
            format!(
                "the body of the request was in an unknown format - accepted media types include: {TYPES}"
            ),
        )),
    }
}
