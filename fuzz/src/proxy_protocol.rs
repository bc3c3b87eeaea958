//! Any bytes begin with a PROXY header, not yet with one, or with none; and reading a connection comes to the same as
//! looking at its bytes.

use futures_util::FutureExt;
use gateway::proxy::proxy_protocol::{parse, read};

pub fn check(bytes: &[u8]) {
    let verdict = parse(bytes);
    let mut rest = bytes;
    let read = read(&mut rest).now_or_never().expect("bytes that are there are not waited for");
    let Ok(Some(header)) = verdict else {
        assert_eq!(read, None);
        return;
    };
    assert_eq!(read, Some(header));
    assert_eq!(rest, &bytes[header.length..]);
    assert_eq!(header.source.is_some(), header.destination.is_some());
    for cut in 0..header.length {
        assert_eq!(parse(&bytes[..cut]), Ok(None), "cut at {cut}");
    }
    assert_eq!(parse(&bytes[..header.length]), Ok(Some(header)));
}
