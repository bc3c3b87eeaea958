//! Header names the gateway cares about, each with a number: comparing two known names compares two bytes.

macro_rules! names {
    ($($name:ident = $text:literal,)+) => {
        /// A header name with a number of its own, or `Other`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Name { Other, $($name,)+ }

        impl Name {
            const ALL: &'static [(Name, &'static str)] = &[$((Name::$name, $text),)+];

            /// The usual spelling; empty for `Other`.
            pub fn as_str(self) -> &'static str {
                match self { Name::Other => "", $(Name::$name => $text,)+ }
            }

            /// The same in lower case.
            pub fn lower_case(self) -> &'static str {
                match self {
                    Name::Other => "",
                    $(Name::$name => {
                        const LOWER: [u8; $text.len()] = lower_case($text);
                        const { ascii(&LOWER) }
                    })+
                }
            }
        }
    };
}

const fn lower_case<const LENGTH: usize>(text: &str) -> [u8; LENGTH] {
    let mut lower = [0; LENGTH];
    let mut at = 0;
    while at < LENGTH {
        lower[at] = text.as_bytes()[at].to_ascii_lowercase();
        at += 1;
    }
    lower
}

const fn ascii(bytes: &'static [u8]) -> &'static str {
    match str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => "",
    }
}

names! {
    Accept = "Accept",
    AcceptEncoding = "Accept-Encoding",
    AcceptLanguage = "Accept-Language",
    Authorization = "Authorization",
    CacheControl = "Cache-Control",
    Connection = "Connection",
    ContentEncoding = "Content-Encoding",
    ContentLength = "Content-Length",
    ContentType = "Content-Type",
    Cookie = "Cookie",
    Date = "Date",
    Expect = "Expect",
    Host = "Host",
    Http2Settings = "HTTP2-Settings",
    KeepAlive = "Keep-Alive",
    Location = "Location",
    Proxy = "Proxy",
    ProxyAuthorization = "Proxy-Authorization",
    ProxyConnection = "Proxy-Connection",
    Referer = "Referer",
    RateLimitLimit = "RateLimit-Limit",
    RateLimitRemaining = "RateLimit-Remaining",
    RateLimitReset = "RateLimit-Reset",
    RetryAfter = "Retry-After",
    Server = "Server",
    SetCookie = "Set-Cookie",
    Te = "TE",
    Trailer = "Trailer",
    TransferEncoding = "Transfer-Encoding",
    Upgrade = "Upgrade",
    UserAgent = "User-Agent",
    Via = "Via",
    WwwAuthenticate = "WWW-Authenticate",
    XConsumerId = "X-Consumer-ID",
    XConsumerCustomId = "X-Consumer-Custom-ID",
    XConsumerUsername = "X-Consumer-Username",
    XCredentialIdentifier = "X-Credential-Identifier",
    XAnonymousConsumer = "X-Anonymous-Consumer",
    XForwardedFor = "X-Forwarded-For",
    XForwardedHost = "X-Forwarded-Host",
    XForwardedPath = "X-Forwarded-Path",
    XForwardedPort = "X-Forwarded-Port",
    XForwardedPrefix = "X-Forwarded-Prefix",
    XForwardedProto = "X-Forwarded-Proto",
    XKongProxyLatency = "X-Kong-Proxy-Latency",
    XKongRequestId = "X-Kong-Request-Id",
    XKongResponseLatency = "X-Kong-Response-Latency",
    XKongUpstreamLatency = "X-Kong-Upstream-Latency",
    XRealIp = "X-Real-IP",
}

/// Slots of the table below: enough that every known name can have one of its own.
const SLOTS: usize = 256;

/// Known names by [`slot`]: recognising one looks at a single candidate.
static BY_SLOT: [Name; SLOTS] = {
    let mut table = [Name::Other; SLOTS];
    let mut at = 0;
    while at < Name::ALL.len() {
        let (name, text) = Name::ALL[at];
        let slot = slot(text.as_bytes());
        assert!(matches!(table[slot], Name::Other), "two names share a slot: change the factors in `slot`");
        table[slot] = name;
        at += 1;
    }
    table
};

/// A number from the length and three letters of a name, whatever their case. No two known names have the same;
/// the factors were found by trying.
#[inline]
const fn slot(text: &[u8]) -> usize {
    let length = text.len();
    if length < 2 {
        return 0;
    }
    let fourth_from_end = length.saturating_sub(4);
    let middle = (text[length / 2] | 0x20) as usize;
    let second_last = (text[length - 2] | 0x20) as usize;
    let fourth_last = (text[fourth_from_end] | 0x20) as usize;
    (39 * length + 9 * middle + 44 * second_last + 35 * fourth_last) % SLOTS
}

impl Name {
    /// The number of a name in any case, or `Other`.
    #[inline]
    pub fn of(text: &[u8]) -> Name {
        let candidate = BY_SLOT[slot(text)];
        let spelling = candidate.as_str().as_bytes();
        // Most senders use the usual spelling, and comparing whole words is cheaper than letter by letter.
        if spelling == text || spelling.eq_ignore_ascii_case(text) { candidate } else { Name::Other }
    }
}

/// A set of names; `Other` stands for all that have no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameSet(u64);

impl NameSet {
    /// The set of these names.
    pub const fn of(names: &[Name]) -> NameSet {
        const { assert!(Name::ALL.len() < 64, "a set has 64 bits") };
        let (mut bits, mut at) = (0, 0);
        while at < names.len() {
            bits |= 1 << names[at] as u8;
            at += 1;
        }
        NameSet(bits)
    }

    /// Whether a name is in it.
    #[inline]
    pub const fn contains(self, name: Name) -> bool {
        self.0 & (1 << name as u8) != 0
    }

    /// Adds a name. Says whether it was new.
    #[inline]
    pub const fn insert(&mut self, name: Name) -> bool {
        let before = self.0;
        self.0 |= 1 << name as u8;
        self.0 != before
    }

    pub(super) const fn bits(self) -> u64 {
        self.0
    }
}

/// What a header can be looked up by: a known [`Name`], or any text.
pub trait FieldName: Copy {
    /// Its number.
    fn id(&self) -> Name;
    /// Its spelling when it has to be written.
    fn text(&self) -> &[u8];
}

impl FieldName for Name {
    #[inline]
    fn id(&self) -> Name {
        *self
    }
    #[inline]
    fn text(&self) -> &[u8] {
        self.as_str().as_bytes()
    }
}

/// A name without a number that is known when compiling, so that nobody has to find out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unnumbered(pub &'static str);

impl FieldName for Unnumbered {
    #[inline]
    fn id(&self) -> Name {
        Name::Other
    }
    #[inline]
    fn text(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl FieldName for &str {
    #[inline]
    fn id(&self) -> Name {
        Name::of(self.as_bytes())
    }
    #[inline]
    fn text(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl FieldName for &[u8] {
    #[inline]
    fn id(&self) -> Name {
        Name::of(self)
    }
    #[inline]
    fn text(&self) -> &[u8] {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_is_recognised_in_any_case() {
        for (name, text) in Name::ALL {
            assert_eq!(Name::of(text.as_bytes()), *name);
            assert_eq!(name.lower_case(), text.to_lowercase());
            assert_eq!(Name::of(text.to_lowercase().as_bytes()), *name);
            assert_eq!(Name::of(text.to_uppercase().as_bytes()), *name);
        }
        for other in [&b"x-unknown"[..], b"", b"x", b"hos", b"hostt"] {
            assert_eq!(Name::of(other), Name::Other);
        }
        assert_eq!(Name::of(&[b'a'; 300]), Name::Other);
    }
}
