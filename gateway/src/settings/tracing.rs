//! How requests are traced, checked.

use traces::{Format, environment};

use crate::args::{TraceSampler, TracingArgs};
use crate::exchange::trace::{Instruments, Parent, Propagation, Sampler, Share};
use crate::plugins::opentelemetry::process::TracingSettings;

/// # Errors
/// Names the flag and what it accepts.
pub(super) fn new(args: &TracingArgs) -> Result<TracingSettings, String> {
    let endpoint = environment::endpoint(args.otlp_traces_endpoint.as_deref(), args.otlp_endpoint.as_deref());
    let pairs = |flag: &str, text: &str| {
        environment::pairs(text).map_err(|error| format!("{flag}: {error}, such as a=1,b=2"))
    };
    let (mut named, attributes): (Vec<_>, Vec<_>) =
        pairs("--resource-attributes", &args.resource_attributes)?
            .into_iter()
            .partition(|(key, _)| key == "service.name");
    let service_name = args.service_name.clone().filter(|name| !name.is_empty());
    let service_name = service_name.or_else(|| named.pop().map(|(_, name)| name));
    let instruments = match &*args.tracing_instrumentations {
        [] if endpoint.is_some() => Instruments::ALL,
        kinds => instruments(kinds)?,
    };
    Ok(TracingSettings {
        headers: pairs("--otlp-headers", &args.otlp_headers)?,
        service_name: service_name.unwrap_or_else(|| "kong".to_owned()),
        attributes,
        sampler: sampler(args.trace_sampler, args.trace_sampling_ratio),
        propagation: Propagation::everything(&formats(&args.trace_propagation)?),
        instruments,
        sampling_rate: args.tracing_sampling_rate,
        endpoint,
    })
}

fn sampler(kind: TraceSampler, ratio: f64) -> Sampler {
    use TraceSampler as S;
    let (parent, rate) = match kind {
        S::AlwaysOn => (Parent::Ignored, 1.0),
        S::AlwaysOff => (Parent::Ignored, 0.0),
        S::TraceIdRatio => (Parent::Ignored, ratio),
        S::ParentBasedAlwaysOn => (Parent::Followed, 1.0),
        S::ParentBasedAlwaysOff => (Parent::Followed, 0.0),
        S::ParentBasedTraceIdRatio => (Parent::Followed, ratio),
    };
    Sampler { parent, rate, share: Share::OpenTelemetry }
}

/// OpenTelemetry's words for formats. Its `baggage` passes in any case.
fn formats(words: &[String]) -> Result<Vec<Format>, String> {
    let mut formats = Vec::new();
    for word in words.iter().map(|word| word.trim()) {
        formats.push(match word {
            "" | "none" | "baggage" => continue,
            "tracecontext" => Format::W3c,
            "b3" => Format::B3Single,
            "b3multi" => Format::B3,
            "ottrace" => Format::Ot,
            "xray" => Format::Aws,
            "jaeger" => Format::Jaeger,
            "datadog" => Format::Datadog,
            "gcp" => Format::Gcp,
            "instana" => Format::Instana,
            _ => {
                return Err(format!(
                    "--trace-propagation {word}: expected tracecontext, b3, b3multi, jaeger, ottrace, xray, datadog, \
                     gcp, instana or none"
                ));
            }
        });
    }
    Ok(formats)
}

/// Kong's words for kinds of spans. Of those that nothing here corresponds to nothing is recorded.
fn instruments(words: &[String]) -> Result<Instruments, String> {
    let mut instruments = Instruments::NONE;
    for word in words.iter().map(|word| word.trim()) {
        let kind = match word {
            "" | "off" => continue,
            "all" => Instruments::ALL,
            "request" | "plugin_rewrite" | "db_query" | "http_client" => Instruments::REQUEST,
            "router" => Instruments::ROUTER,
            "balancer" => Instruments::BALANCER,
            "plugin_access" => Instruments::ACCESS,
            "plugin_header_filter" => Instruments::HEADER_FILTER,
            "dns_query" => Instruments::DNS,
            _ => {
                return Err(format!(
                    "--tracing-instrumentations {word}: expected off, all, request, router, balancer, plugin_access, \
                     plugin_header_filter or dns_query"
                ));
            }
        };
        instruments = instruments.and(kind).and(Instruments::REQUEST);
    }
    Ok(instruments)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};

    fn settings(flags: &[&str]) -> Result<TracingSettings, String> {
        let line = ["gateway", "run"].iter().chain(flags);
        let Command::Run(args) = Cli::try_parse_from(line).map_err(|error| error.to_string())?.command else {
            unreachable!("`run` was asked for")
        };
        new(&args.tracing)
    }

    #[test]
    fn without_a_collector_nothing_is_recorded_unless_asked_for() {
        assert!(settings(&[]).unwrap().instruments.is_empty());
        let with = settings(&["--otlp-endpoint", "http://jaeger:4318"]).unwrap();
        assert_eq!(with.endpoint.as_deref(), Some("http://jaeger:4318/v1/traces"));
        assert_eq!(with.instruments, Instruments::ALL);
        let some = settings(&["--tracing-instrumentations", "router,balancer"]).unwrap();
        assert!(some.instruments.contains(Instruments::ROUTER.and(Instruments::REQUEST)));
        assert!(!some.instruments.contains(Instruments::ACCESS));
    }

    #[test]
    fn the_service_is_named_by_its_flag_then_by_the_attributes() {
        let attributes = ["--resource-attributes", "service.name=a,env=test"];
        let by_attributes = settings(&attributes).unwrap();
        assert_eq!(by_attributes.service_name, "a");
        assert_eq!(by_attributes.attributes, [("env".to_owned(), "test".to_owned())]);
        assert_eq!(
            settings(&[&attributes[..], &["--service-name", "b"]].concat()).unwrap().service_name,
            "b"
        );
        assert_eq!(settings(&[]).unwrap().service_name, "kong");
    }

    #[test]
    fn formats_and_samplers_are_called_as_everywhere() {
        let with = settings(&["--trace-propagation", "tracecontext,b3multi,baggage"]).unwrap();
        assert_eq!(with.propagation, Propagation::everything(&[Format::W3c, Format::B3]));
        assert_eq!(settings(&["--trace-propagation", "none"]).unwrap().propagation.inject, []);
        let ratio = ["--trace-sampler", "traceidratio", "--trace-sampling-ratio", "0.25"];
        let expected = Sampler { parent: Parent::Ignored, rate: 0.25, share: Share::OpenTelemetry };
        assert_eq!(settings(&ratio).unwrap().sampler, expected);
    }

    #[test]
    fn what_is_wrong_is_named_with_what_is_right() {
        for (flags, message) in [
            (["--trace-propagation", "zipkin"], "--trace-propagation zipkin: expected tracecontext"),
            (["--tracing-instrumentations", "some"], "--tracing-instrumentations some: expected off, all"),
            (["--otlp-headers", "nonsense"], "--otlp-headers: \"nonsense\" is not key=value"),
            (["--trace-sampling-ratio", "2"], "expected a number from 0 to 1"),
            (["--trace-sampler", "some"], "parentbased_traceidratio"),
        ] {
            let error = settings(&flags).unwrap_err();
            assert!(error.contains(message), "{error}");
        }
    }
}
