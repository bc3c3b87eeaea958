//! URLs as Kong reads them in settings: leniently, by their marks, without judging the parts.

/// The parts that settings use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Url<'a> {
    pub scheme: Option<&'a str>,
    /// `user:password`.
    pub userinfo: Option<&'a str>,
    /// Without brackets.
    pub host: Option<&'a str>,
    /// As written.
    pub port: Option<&'a str>,
    /// Without query and fragment.
    pub path: Option<&'a str>,
}

impl<'a> Url<'a> {
    pub fn parse(text: &'a str) -> Url<'a> {
        let mut url = Url::default();
        let mut rest = text;
        if let Some((scheme, after)) = text.split_once(':').filter(|(scheme, _)| is_scheme(scheme)) {
            url.scheme = Some(scheme);
            rest = after;
        }
        let mut authority = None;
        if let Some(after) = rest.strip_prefix("//") {
            let end = after.find(['/', '?', '#']).unwrap_or(after.len());
            authority = Some(&after[..end]);
            rest = &after[end..];
        }
        let path = rest.split(['#', '?', ';']).next().unwrap_or_default();
        url.path = Some(path).filter(|path| !path.is_empty());
        if let Some(authority) = authority {
            url.read_authority(authority);
        }
        url
    }

    fn read_authority(&mut self, authority: &'a str) {
        let mut rest = authority;
        if let Some((userinfo, after)) = rest.split_once('@') {
            self.userinfo = Some(userinfo);
            rest = after;
        }
        if let Some((host, port)) = rest.rsplit_once(':').filter(|(_, port)| !port.contains(']')) {
            self.port = Some(port);
            rest = host;
        }
        let host = rest.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(rest);
        self.host = Some(host).filter(|host| !host.is_empty());
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|char: char| char.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found_by_their_marks() {
        let url = Url::parse("https://user:pa:ss@[::1]:8443/a/b;p?q=1#f");
        assert_eq!(
            url,
            Url {
                scheme: Some("https"),
                userinfo: Some("user:pa:ss"),
                host: Some("::1"),
                port: Some("8443"),
                path: Some("/a/b"),
            }
        );
        assert_eq!(Url::parse("http://"), Url { scheme: Some("http"), ..Url::default() });
        assert_eq!(Url::parse("127.0.0.1/x"), Url { path: Some("127.0.0.1/x"), ..Url::default() });
        assert_eq!(Url::parse("//h"), Url { host: Some("h"), ..Url::default() });
        assert_eq!(Url::parse(""), Url::default());
    }
}
