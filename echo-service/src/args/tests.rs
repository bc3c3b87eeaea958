//! The command line, read. The environment of the test run may have a say, so
//! nothing here depends on what it does not give.

use http::StatusCode;

use super::*;

fn echo(arguments: &[&str]) -> EchoSettings {
    match read(arguments) {
        Ok(Settings::Echo(settings)) => *settings,
        other => panic!("{other:?}"),
    }
}

fn read(arguments: &[&str]) -> Result<Settings, clap::Error> {
    Settings::from_arguments([&["echo-service", "--listen-address", "127.0.0.2"], arguments].concat())
}

#[test]
fn nothing_said_is_the_articles_default() {
    let settings = echo(&[]);
    assert_eq!((settings.listening.address.port(), settings.instance.name.as_str()), (9000, "hello"));
    assert_eq!((settings.defaults, settings.every), (Behaviour::default(), NonZeroU64::MIN));
    assert_eq!(settings.listening.drain_deadline, Duration::from_secs(10));
}

#[test]
fn port_and_name_are_those_of_the_article() {
    let settings = echo(&["8080", "one"]);
    assert_eq!(
        (settings.listening.address.to_string().as_str(), settings.instance.name.as_str()),
        ("127.0.0.2:8080", "one")
    );
    assert_eq!(echo(&["8080", "bin"]).instance.name, "bin", "a name like any other, after a port");
}

#[test]
fn spans_go_where_they_are_told_to() {
    let settings =
        echo(&["--otlp-endpoint", "http://jaeger:4318/", "--service-name", "http-echo"]).spans.unwrap();
    assert_eq!(settings.endpoint, "http://jaeger:4318/v1/traces");
    assert_eq!(settings.speaker[0], ("service.name".to_owned(), "http-echo".to_owned()));
    for bad in ["https://jaeger:4318", "jaeger", "http://"] {
        let refused = read(&["--otlp-endpoint", bad]).unwrap_err().to_string();
        assert!(refused.contains("--otlp-endpoint"), "{refused}");
    }
}

#[test]
fn every_field_of_behaviour_is_a_flag() {
    let settings =
        echo(&["80", "x", "--status", "503", "--every", "4", "--header", "a: b", "--header", "c: d"]);
    assert_eq!(settings.defaults.status, Some(StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!((settings.defaults.headers.len(), settings.every.get()), (2, 4));
    let help = command().render_long_help().to_string();
    for field in &FIELDS {
        assert!(help.contains(&format!("--{} <VALUE>", field.name)), "{help}");
    }
}

#[test]
fn health_and_pod_are_read() {
    let settings = echo(&["80", "x", "--health-port", "81", "--unready-for", "2s", "--pod-name", "p"]);
    assert_eq!(settings.listening.health.unwrap().to_string(), "127.0.0.2:81");
    assert_eq!(settings.listening.unready_for, Duration::from_secs(2));
    assert_eq!(settings.instance.pod_name.as_deref(), Some("p"));
}

#[test]
fn a_bin_has_the_limits_of_the_library_unless_told() {
    let Ok(Settings::Bin(bin)) = Settings::from_arguments(["echo-service", "bin"]) else { panic!() };
    assert_eq!(bin.limits, Limits::default());
    let Ok(Settings::Bin(bin)) =
        Settings::from_arguments(["echo-service", "bin", "81", "--max-bytes", "2MiB"])
    else {
        panic!()
    };
    assert_eq!((bin.listening.address.port(), bin.limits.bytes), (81, 2 << 20));
}

#[test]
fn what_makes_no_sense_is_refused() {
    for arguments in [
        &["65536"][..],
        &["80", "x", "--every", "0"],
        &["80", "x", "--every", "2"],
        &["80", "x", "--delay", "soon"],
        &["80", "x", "--unready-for", "2s"],
        &["80", "x", "--drain-deadline", "2h"],
        &["80", "x", "y"],
    ] {
        assert_eq!(read(arguments).unwrap_err().exit_code(), 2, "{arguments:?}");
    }
}
