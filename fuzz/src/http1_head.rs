//! Any bytes are a head, not yet one, or refused, however they are cut; and what was understood is understood the same
//! when it is written anew.

use gateway::http::fields::Fields;
use gateway::http::head::{Method, RequestHead, ResponseHead};
use gateway::http::http1::framing;
use gateway::http::http1::parse::{self, HeadLimits, Parsed};

/// Written anew a head may be longer: CRLF for LF, a blank behind each colon.
const GENEROUS: HeadLimits =
    HeadLimits { line: 1 << 20, field: 1 << 20, head: 4 << 20, fields: parse::MOST_FIELDS };

pub fn check(bytes: &[u8]) {
    request(bytes);
    response(bytes);
    parse::salvage(bytes, &mut RequestHead::default());
}

fn request(bytes: &[u8]) {
    let limits = HeadLimits::default();
    let mut head = RequestHead::default();
    let Ok(Parsed::Complete(length)) = parse::request(bytes, &mut head, &limits) else { return };
    assert!(length <= bytes.len());
    for cut in cuts(length) {
        let early = parse::request(&bytes[..cut], &mut RequestHead::default(), &limits);
        assert_eq!(early, Ok(Parsed::Partial), "cut at {cut}");
    }
    check_fields(&head.fields);
    let mut anew = [head.method_bytes(), b" ", head.target(), b" HTTP/"].concat();
    anew.extend_from_slice(head.version.as_str().as_bytes());
    anew.extend_from_slice(b"\r\n");
    head.fields.write_lines(&mut anew, |_| true);
    anew.extend_from_slice(b"\r\n");
    let mut again = RequestHead::default();
    assert_eq!(parse::request(&anew, &mut again, &GENEROUS), Ok(Parsed::Complete(anew.len())));
    assert_eq!(
        (head.method_bytes(), head.target(), head.version),
        (again.method_bytes(), again.target(), again.version)
    );
    assert_eq!(lines(&head.fields), lines(&again.fields));
    assert_eq!(framing::of_request(&head), framing::of_request(&again));
}

fn response(bytes: &[u8]) {
    let limits = HeadLimits::default();
    let mut head = ResponseHead::default();
    let Ok(Parsed::Complete(length)) = parse::response(bytes, &mut head, &limits) else { return };
    assert!(length <= bytes.len());
    for cut in cuts(length) {
        let early = parse::response(&bytes[..cut], &mut ResponseHead::default(), &limits);
        assert_eq!(early, Ok(Parsed::Partial), "cut at {cut}");
    }
    assert!((100..1_000).contains(&head.status));
    check_fields(&head.fields);
    let mut anew = format!("HTTP/{} {} ", head.version.as_str(), head.status).into_bytes();
    anew.extend_from_slice(head.reason());
    anew.extend_from_slice(b"\r\n");
    head.fields.write_lines(&mut anew, |_| true);
    anew.extend_from_slice(b"\r\n");
    let mut again = ResponseHead::default();
    assert_eq!(parse::response(&anew, &mut again, &GENEROUS), Ok(Parsed::Complete(anew.len())));
    assert_eq!((head.status, head.reason(), head.version), (again.status, again.reason(), again.version));
    assert_eq!(lines(&head.fields), lines(&again.fields));
    for method in [Method::Get, Method::Head] {
        assert_eq!(framing::of_response(method, &head), framing::of_response(method, &again));
    }
}

/// Every place before the end of a short head, and a hundred before that of a long one.
fn cuts(length: usize) -> impl Iterator<Item = usize> {
    (0..length).step_by(1 + length / 100).chain(length.checked_sub(1))
}

fn check_fields(fields: &Fields) {
    for field in fields.iter() {
        assert!(!field.name.is_empty() && field.name.iter().all(u8::is_ascii_graphic));
        assert!(!field.name.contains(&b':'));
        assert!(field.value.iter().all(|byte| *byte == b'\t' || *byte >= b' ' && *byte != 0x7f));
        assert_eq!(field.value.trim_ascii(), field.value);
    }
}

fn lines(fields: &Fields) -> Vec<(Vec<u8>, Vec<u8>)> {
    fields.iter().map(|field| (field.name.to_vec(), field.value.to_vec())).collect()
}
