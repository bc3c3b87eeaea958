//! The loads, and the configuration that each needs.

/// How every proxy is configured; cases of one setup share a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Setup {
    /// Routes by prefix, all to the same upstream.
    pub routes: usize,
    /// Plugins of the gateway. Peers run without: what they would run is another thing.
    pub plugins: &'static [Plugin],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Plugin {
    RateLimiting,
    IpRestriction,
    HttpLog,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    /// HTTP/1.1 over TLS.
    Tls,
    /// HTTP/2 in the clear, ten streams a connection.
    H2c,
    /// HTTP/2 over TLS.
    H2,
}

/// What is measured in a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    /// As much as goes through: requests a second, latency, CPU.
    Throughput,
    /// The latency at one rate for all, in requests a second.
    AtRate(u32),
    /// Memory of so many idle connections.
    Idle(usize),
}

/// One load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub name: &'static str,
    pub what: &'static str,
    pub setup: Setup,
    pub protocol: Protocol,
    pub connections: usize,
    /// Bytes of the answer.
    pub answer: usize,
    /// Bytes of the request's body; 0 is a GET.
    pub body: usize,
    /// A browser's header lines instead of `Host` alone.
    pub browser: bool,
    /// A new connection for every request.
    pub close: bool,
    pub measure: Measure,
}

const PLAIN: Setup = Setup { routes: 1, plugins: &[] };

const BASE: Case = Case {
    name: "64B",
    what: "64 bytes, 64 connections, one header line, keep-alive",
    setup: PLAIN,
    protocol: Protocol::Http1,
    connections: 64,
    answer: 64,
    body: 0,
    browser: false,
    close: false,
    measure: Measure::Throughput,
};

/// A browser's other eleven lines.
pub(crate) const BROWSER: &[(&str, &str)] = &[
    (
        "User-Agent",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    ),
    ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"),
    ("Accept-Language", "en-GB,en;q=0.9,de;q=0.7"),
    ("Accept-Encoding", "gzip, deflate, br, zstd"),
    ("Cookie", "session=f3b1c7d2a9e84c0fb6d5; theme=dark; consent=1"),
    ("Referer", "https://www.example.test/start/overview?tab=2"),
    ("Cache-Control", "max-age=0"),
    ("Upgrade-Insecure-Requests", "1"),
    ("Sec-Fetch-Dest", "document"),
    ("Sec-Fetch-Mode", "navigate"),
    ("Sec-Fetch-Site", "same-origin"),
];

/// Every case, cases of one setup together.
pub(crate) fn all() -> Vec<Case> {
    let plugins = |plugins| Setup { routes: 1, plugins };
    vec![
        BASE,
        Case { name: "1KiB", what: "1 KiB", answer: 1 << 10, ..BASE },
        Case { name: "64KiB", what: "64 KiB", answer: 64 << 10, ..BASE },
        Case { name: "post", what: "POST of 1 KiB", body: 1 << 10, ..BASE },
        Case { name: "browser", what: "a browser's twelve header lines", browser: true, ..BASE },
        Case { name: "8-connections", what: "8 connections", connections: 8, ..BASE },
        Case { name: "256-connections", what: "256 connections", connections: 256, ..BASE },
        Case { name: "new-connections", what: "a new connection for every request", close: true, ..BASE },
        Case { name: "tls", what: "over TLS", protocol: Protocol::Tls, ..BASE },
        Case {
            name: "tls-64KiB",
            what: "64 KiB over TLS",
            protocol: Protocol::Tls,
            answer: 64 << 10,
            ..BASE
        },
        Case {
            name: "h2c",
            what: "HTTP/2 in the clear, 8 connections of 10 streams",
            protocol: Protocol::H2c,
            connections: 8,
            ..BASE
        },
        Case {
            name: "h2",
            what: "HTTP/2 over TLS, 8 connections of 10 streams",
            protocol: Protocol::H2,
            connections: 8,
            ..BASE
        },
        Case {
            name: "at-5000",
            what: "latency at 5,000 requests a second",
            connections: 50,
            measure: Measure::AtRate(5_000),
            ..BASE
        },
        Case {
            name: "idle",
            what: "memory of 3,000 idle connections",
            measure: Measure::Idle(3_000),
            ..BASE
        },
        Case {
            name: "1000-routes",
            what: "1,000 routes, the last one asked for",
            setup: Setup { routes: 1_000, plugins: &[] },
            ..BASE
        },
        Case {
            name: "10000-routes",
            what: "10,000 routes, the last one asked for",
            setup: Setup { routes: 10_000, plugins: &[] },
            ..BASE
        },
        Case {
            name: "rate-limiting",
            what: "with rate-limiting",
            setup: plugins(&[Plugin::RateLimiting]),
            ..BASE
        },
        Case {
            name: "three-plugins",
            what: "with rate-limiting, ip-restriction and http-log in batches",
            setup: plugins(&[Plugin::RateLimiting, Plugin::IpRestriction, Plugin::HttpLog]),
            ..BASE
        },
    ]
}

/// Those whose name contains one of the words; all when there are none.
pub(crate) fn selected(words: &[String]) -> anyhow::Result<Vec<Case>> {
    let mut cases = all();
    if let Some(unknown) =
        words.iter().find(|word| !cases.iter().any(|case| case.name.contains(word.as_str())))
    {
        anyhow::bail!("no case has {unknown:?} in its name; `benches compare --list` prints them");
    }
    cases.retain(|case| words.is_empty() || words.iter().any(|word| case.name.contains(word.as_str())));
    Ok(cases)
}

impl Case {
    /// The path of the last route, with the size of the answer at its end.
    pub(crate) fn path(&self) -> String {
        format!("/r{}/{}", self.setup.routes - 1, self.answer)
    }
}
