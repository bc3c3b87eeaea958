//! What a request target names: `/a?b`, also of `http://host/a?b`.

use super::fields::Fields;
use super::name::Name;

/// The part of a request target that names the resource: `/a?b`, also of `http://host/a?b`.
pub fn resource(target: &[u8]) -> &[u8] {
    let Some(rest) = authority_and_resource(target) else { return target };
    rest.iter().position(|byte| matches!(byte, b'/' | b'?')).map_or(&[], |at| &rest[at..])
}

/// The host a client asked for, lower-case and without a port: from an absolute target, else from `Host`.
/// Without either it is `kong`, which is what Kong's server is called.
pub fn host(target: &[u8], fields: &Fields) -> String {
    let authority = match authority_and_resource(target) {
        Some(rest) => {
            let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
            Some(&rest[..end])
        }
        None => fields.get(Name::Host),
    };
    let Some(authority) = authority.filter(|authority| !authority.is_empty()) else {
        return "kong".to_owned();
    };
    let port = authority.iter().rposition(|byte| *byte == b':');
    let port = port.filter(|at| authority[at + 1..].iter().all(u8::is_ascii_digit));
    let host = &authority[..port.unwrap_or(authority.len())];
    String::from_utf8_lossy(host).to_ascii_lowercase()
}

fn authority_and_resource(target: &[u8]) -> Option<&[u8]> {
    ["http://", "https://"].into_iter().find_map(|scheme| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme.as_bytes()).then_some(rest)
    })
}
