//! Ways around a guard: spellings of a path, a host or a method that one reader takes for the guarded thing and
//! another doesn't. Either the guard sees them, or they are refused, or what is forwarded is not the guarded thing.

use crate::support::client::Client;
use crate::support::dataplane::DataPlane;
use crate::support::frames::{End, Frames, field};
use crate::support::origin::{Origin, answer};

/// `/admin` needs a key, nothing else does.
fn config(origin: &Origin) -> String {
    format!(
        "services:\n\
         - name: up\n\
         \x20 url: 'http://{}'\n\
         \x20 routes:\n\
         \x20 - {{name: admin, paths: [/admin], strip_path: false, plugins: [{{name: key-auth}}]}}\n\
         \x20 - {{name: all, paths: [/], strip_path: false}}\n",
        origin.address
    )
}

/// The path a server sees that decodes, takes all slashes for slashes where that leads to dots, and resolves them.
/// Encoded slashes alone, backslashes and parameters are data to us, as to Kong.
fn as_a_server_reads(target: &str) -> String {
    let path = target.split(['?', '#']).next().unwrap();
    let decoded = percent_encoding::percent_decode_str(path).decode_utf8_lossy().replace('\\', "/");
    let has_dots = decoded.split('/').any(|segment| matches!(segment, "." | ".."));
    let kept = path.replace("%2F", "\u{1}").replace("%5C", "\u{1}");
    let read = if has_dots {
        decoded
    } else {
        percent_encoding::percent_decode_str(&kept).decode_utf8_lossy().into_owned()
    };
    let mut segments: Vec<&str> = Vec::new();
    for segment in read.split('/').filter(|segment| !segment.is_empty() && *segment != ".") {
        if segment == ".." {
            segments.pop();
        } else {
            segments.push(segment);
        }
    }
    format!("/{}", segments.join("/"))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_of_a_path_gets_around_its_guard() {
    let origin = Origin::with(|_| answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")).await;
    let gateway = DataPlane::start(&config(&origin)).await;
    let mut around = Vec::new();
    for method in ["GET", "HEAD", "POST", "OPTIONS", "BREW"] {
        for target in SPELLINGS {
            origin.forget();
            let mut client = Client::connect(gateway.http()).await;
            client
                .send(format!("{method} {target} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"))
                .await;
            let answered = client.rest().await;
            around.extend(guarded(&origin).map(|reached| format!("{method} {target} reached {reached}")));
            let status = String::from_utf8_lossy(&answered).split(' ').nth(1).map(str::to_owned);
            assert!(matches!(status.as_deref(), Some("200" | "400" | "401" | "404")), "{target}: {status:?}");
        }
    }
    assert!(around.is_empty(), "{}", around.join("\n"));
    // The guard is there, and opens to nobody without a key.
    assert_eq!(gateway.get("/admin").await.status, 401);
    assert_eq!(gateway.get("/public").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_does_it_over_http2() {
    let origin = Origin::with(|_| answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")).await;
    let gateway = DataPlane::start(&config(&origin)).await;
    let mut around = Vec::new();
    for target in SPELLINGS {
        origin.forget();
        let mut frames = Frames::connect(gateway.http()).await;
        let block = [
            field(":method", "GET"),
            field(":scheme", "http"),
            field(":authority", "a.test"),
            field(":path", target),
        ];
        frames.request(1, &block.concat(), None).await;
        let end = frames.end_of(1).await;
        assert!(matches!(end, End::Answered(..) | End::Reset(_) | End::GoAway(_)), "{target}: {end:?}");
        around.extend(guarded(&origin).map(|reached| format!("{target} reached {reached}")));
    }
    assert!(around.is_empty(), "{}", around.join("\n"));
}

/// What has reached the guarded place, as a server reads it.
fn guarded(origin: &Origin) -> impl Iterator<Item = String> {
    let targets = origin.messages().into_iter().map(|message| message.target());
    targets.filter(|target| {
        let read = as_a_server_reads(target);
        read == "/admin" || read.starts_with("/admin/")
    })
}

const SPELLINGS: &[&str] = &[
    "/admin",
    "/admin/",
    "/admin/x",
    "/%61dmin",
    "/adm%69n/",
    "/%2561dmin",
    "/admin%00",
    "/admin%0a",
    "/admin%20",
    "/admin%09",
    "/x/../admin",
    "/./admin",
    "/%2e/admin",
    "/x/%2e%2e/admin",
    "/x/..%2fadmin",
    "/x%2f..%2fadmin",
    "/.%2e/admin",
    "/x/.%2e/admin",
    "//admin",
    "/admin//",
    "///admin",
    "/\\admin",
    "/%5cadmin",
    "/admin\\..\\b",
    "/%2fadmin",
    "/admin;x",
    "/;/admin",
    "/admin?",
    "/admin?x",
    "/admin%23",
    "/admin%3f",
    "/%c0%af../admin",
    "/x/%c0%ae%c0%ae/admin",
    "/admin%2f",
    "/admin%2fx",
    "http://a.test/admin",
    "http://a.test//admin",
    "http://other.test/x/../admin",
    "HTTP://a.test/%61dmin",
    "/admin;/..",
    "/x/..;/admin",
    "/x/..%5cadmin",
    "/x%5c..%5cadmin",
    "/ADMIN",
    "/adminx",
    "/%ef%bd%81dmin",
    "/\u{ff41}dmin",
    "/%e2%80%aeadmin",
    "/x/%252e%252e/admin",
    "/x/.%252e/admin",
    "/admin/../x/../admin",
];
