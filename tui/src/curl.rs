//! A command line that repeats an exchange as far as the feed knows it: method, URL and host, but no body and no
//! headers.

use admin_api::Exchange;

/// The command, quoted for a POSIX shell.
pub fn command(exchange: &Exchange) -> String {
    let mut words = vec!["curl".to_owned(), "-i".to_owned()];
    match exchange.method.as_str() {
        "GET" | "" => {}
        "HEAD" => words.push("-I".to_owned()),
        method => words.extend(["-X".to_owned(), quoted(method)]),
    }
    let (path, exact) = match exchange.target.as_str() {
        target if target.starts_with('/') => (target, None),
        target => ("/", Some(target)),
    };
    if let Some(target) = exact {
        words.extend(["--request-target".to_owned(), quoted(target)]);
    }
    if path.contains("/.") {
        words.push("--path-as-is".to_owned());
    }
    if path.contains(['[', ']', '{', '}']) {
        words.push("-g".to_owned());
    }
    let scheme = if exchange.tls { "https" } else { "http" };
    let host = if exchange.host.is_empty() { "localhost" } else { &exchange.host };
    words.push(quoted(&format!("{scheme}://{host}{path}")));
    words.join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use admin_api::Reason;

    use super::*;
    use crate::source::demo::tests::exchange;

    fn for_request(method: &str, host: &str, target: &str) -> String {
        let mut exchange = exchange(200, Reason::Proxied);
        method.clone_into(&mut exchange.method);
        host.clone_into(&mut exchange.host);
        target.clone_into(&mut exchange.target);
        exchange.tls = false;
        command(&exchange)
    }

    #[test]
    fn says_what_was_asked() {
        assert_eq!(for_request("GET", "gw", "/"), "curl -i http://gw/");
        assert_eq!(for_request("HEAD", "gw", "/a?b=1&c"), "curl -i -I 'http://gw/a?b=1&c'");
        assert_eq!(for_request("DELETE", "gw:8000", "/a"), "curl -i -X DELETE http://gw:8000/a");
        assert_eq!(for_request("GET", "gw", "/a/../b"), "curl -i --path-as-is http://gw/a/../b");
        assert_eq!(for_request("GET", "gw", "/a[1]"), "curl -i -g 'http://gw/a[1]'");
        assert_eq!(for_request("OPTIONS", "gw", "*"), "curl -i -X OPTIONS --request-target '*' http://gw/");
    }

    #[test]
    fn nothing_a_client_sends_becomes_a_command() {
        assert_eq!(
            for_request("GET", "gw", "/';rm -rf ~;'$(id)`id`"),
            r"curl -i 'http://gw/'\'';rm -rf ~;'\''$(id)`id`'"
        );
        assert_eq!(for_request("A;B", "x y", "/"), "curl -i -X 'A;B' 'http://x y/'");
    }

    #[test]
    fn tls_is_https() {
        let mut exchange = exchange(200, Reason::Proxied);
        exchange.tls = true;
        assert!(command(&exchange).contains("https://"));
    }
}
