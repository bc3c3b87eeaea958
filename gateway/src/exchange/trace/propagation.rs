//! In which formats the trace comes in and goes on.

use traces::{Context, Format, Lines, Onward};

use crate::http::fields::Fields;

/// All formats, W3C first: the one that says most and that most speak.
pub(super) const EVERY_FORMAT: [Format; 8] = [
    Format::W3c,
    Format::B3,
    Format::Jaeger,
    Format::Ot,
    Format::Datadog,
    Format::Aws,
    Format::Gcp,
    Format::Instana,
];

/// Kong's `propagation`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Propagation {
    /// The first that yields something wins.
    pub extract: Vec<Format>,
    /// Header lines that end here.
    pub clear: Vec<String>,
    pub inject: Vec<Inject>,
    /// What `Preserve` means for a request that said nothing.
    pub default_format: Format,
}

/// A format to go on in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inject {
    /// The one the request came with.
    Preserve,
    Format(Format),
}

impl Propagation {
    /// Understands everything, and goes on in `formats` and in the request's own, so that nobody is left with a
    /// parent that is not the last.
    pub fn everything(formats: &[Format]) -> Propagation {
        let preserve = formats.first().map(|_| Inject::Preserve);
        Propagation {
            extract: EVERY_FORMAT.to_vec(),
            clear: Vec::new(),
            inject: preserve.into_iter().chain(formats.iter().copied().map(Inject::Format)).collect(),
            default_format: formats.first().copied().unwrap_or(Format::W3c),
        }
    }

    pub(super) fn read(&self, request: &Fields) -> Option<(Format, Context)> {
        read(&self.extract, request)
    }

    /// The formats to go on in, each once.
    pub(super) fn formats(&self, received_as: Option<Format>, received: &Context) -> Vec<Format> {
        let mut formats = Vec::with_capacity(self.inject.len());
        for inject in &self.inject {
            let format = match (inject, received_as) {
                (Inject::Format(format), _) => *format,
                (Inject::Preserve, Some(Format::B3)) if received.single => Format::B3Single,
                (Inject::Preserve, received_as) => received_as.unwrap_or(self.default_format),
            };
            if !formats.contains(&format) {
                formats.push(format);
            }
        }
        formats
    }

    pub(super) fn write(&self, received_as: Option<Format>, onward: &Onward<'_>, request: &mut Fields) {
        for name in &self.clear {
            request.remove(name.as_str());
        }
        for format in self.formats(received_as, onward.received) {
            format.write(onward, &mut |name, value| request.set(name, value));
        }
    }
}

pub(super) fn read(formats: &[Format], request: &Fields) -> Option<(Format, Context)> {
    if formats.is_empty() {
        return None;
    }
    let lines = Lines::of(request.iter().map(|field| (field.name, field.value)));
    formats.iter().find_map(|format| Some((*format, format.read(&lines)?)))
}
