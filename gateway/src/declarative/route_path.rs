//! Paths of routes: Kong's normal form, and the paths of older format versions.

use serde_json::Value;

/// Characters that mean something in a URI and stay encoded.
const RESERVED: &[u8] = b"!*'();:@&=+$,/?%#[]";

/// Kong's normal form: escapes of unreserved bytes decoded, `.` and `..` resolved, slashes merged. May not be
/// UTF-8.
pub(super) fn normalize(path: &str) -> Vec<u8> {
    if path.is_empty() || path == "/" {
        return path.as_bytes().to_vec();
    }
    let decoded = decode(path.as_bytes(), |byte, escape, out| {
        if RESERVED.contains(&byte) { out.extend(escape.to_ascii_uppercase()) } else { out.push(byte) }
    });
    remove_dots(&decoded)
}

/// Reads a path of format 1.1 or 2.1, where anything beyond plain characters made it a regular expression.
pub(super) fn migrate(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_~/%".contains(&byte);
    if path.bytes().all(plain) {
        return String::from_utf8_lossy(&normalize(path)).into_owned();
    }
    let regex = decode(path.as_bytes(), |byte, escape, out| match byte {
        b'.' | b'^' | b'-' | b'{' | b'}' | b'\\' | b'|' => out.extend([b'\\', byte]),
        _ if RESERVED.contains(&byte) => out.extend(escape.to_ascii_uppercase()),
        _ => out.push(byte),
    });
    format!("~{}", String::from_utf8_lossy(&regex))
}

/// Rewrites the paths of a file of format 1.1 or 2.1; other files stay as they are.
pub(super) fn migrate_file(file: &mut Value) {
    if !matches!(file["_format_version"].as_str(), Some("1.1" | "2.1")) {
        return;
    }
    migrate_routes(file.get_mut("routes"));
    for service in file.get_mut("services").and_then(Value::as_array_mut).into_iter().flatten() {
        migrate_routes(service.get_mut("routes"));
    }
}

fn migrate_routes(routes: Option<&mut Value>) {
    for route in routes.and_then(Value::as_array_mut).into_iter().flatten() {
        for path in route.get_mut("paths").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Value::String(text) = path {
                *text = migrate(text);
            }
        }
    }
}

/// Replaces each whole percent escape by what `each` makes of its byte.
fn decode(bytes: &[u8], each: impl Fn(u8, &[u8], &mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at..] {
            [b'%', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                each(digit(high) << 4 | digit(low), &bytes[at..at + 3], &mut out);
                at += 3;
            }
            _ => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    out
}

/// Of an ASCII hexadecimal digit.
fn digit(byte: u8) -> u8 {
    if byte.is_ascii_digit() { byte - b'0' } else { (byte | 0x20) - b'a' + 10 }
}

fn remove_dots(path: &[u8]) -> Vec<u8> {
    let mut segments: Vec<&[u8]> = Vec::new();
    let rooted = path.first() == Some(&b'/');
    let ends_open = matches!(path.rsplit(|byte| *byte == b'/').next(), Some(b"" | b"." | b".."));
    for segment in path.split(|byte| *byte == b'/') {
        match segment {
            b"" | b"." => {}
            b".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    let mut out = if rooted { vec![b'/'] } else { Vec::new() };
    out.extend(segments.join(&b'/'));
    if ends_open && !segments.is_empty() {
        out.push(b'/');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_form() {
        let cases = [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a/", "/a/"),
            ("/a/../b", "/b"),
            ("/a/./b/", "/a/b/"),
            ("/a/..", "/"),
            ("/a/b/..", "/a/"),
            ("/a/.", "/a/"),
            ("/../../a", "/a"),
            ("/a//b", "/a/b"),
            ("/a%20b", "/a b"),
            ("/a%2fb%2F", "/a%2Fb%2F"),
            ("/%C3%A9", "/é"),
            ("/a%2", "/a%2"),
            ("/a%2e%2e/b", "/a../b"),
            ("/x/%2e%2E/b", "/b"),
        ];
        for (path, normal) in cases {
            assert_eq!(String::from_utf8_lossy(&normalize(path)), normal, "{path}");
        }
    }

    #[test]
    fn paths_of_older_formats() {
        let cases = [
            ("/plain/a%20b", "/plain/a b"),
            ("/a/\\d+", "~/a/\\d+"),
            ("/a%2E(b)", "~/a\\.(b)"),
            ("/a%2F(b)", "~/a%2F(b)"),
        ];
        for (path, migrated) in cases {
            assert_eq!(migrate(path), migrated, "{path}");
        }
    }
}
