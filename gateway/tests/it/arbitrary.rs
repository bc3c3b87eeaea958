//! What must hold for any bytes, asked of the seeds that fuzzing begins with and of what becomes of them when bytes go
//! missing, are put in, or change places. The properties are those of the fuzz targets.

use std::path::Path;

use proptest::prelude::*;
use proptest::sample::Index;

#[expect(unreachable_pub, reason = "public where it is a library")]
#[path = "../../../fuzz/src/lib.rs"]
mod properties;

/// A change that keeps most of an input what it was.
#[derive(Debug, Clone)]
enum Edit {
    Insert(Vec<u8>),
    Replace(u8),
    Delete(Index),
    /// Says a stretch twice.
    Repeat(Index),
}

impl Edit {
    fn apply(&self, at: Index, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let at = at.index(bytes.len());
        let stretch = |until: &Index| at..=at + until.index(bytes.len() - at);
        match self {
            Edit::Insert(more) => {
                bytes.splice(at..at, more.iter().copied());
            }
            Edit::Replace(byte) => bytes[at] = *byte,
            Edit::Delete(until) => {
                bytes.drain(stretch(until));
            }
            Edit::Repeat(until) => {
                let again = bytes[stretch(until)].to_vec();
                bytes.splice(at..at, again);
            }
        }
    }
}

fn edit() -> impl Strategy<Value = Edit> {
    let pieces: &[&[u8]] = &[
        b"\r\n", b"\r", b"\n", b"\0", b":", b"\t", b" ", b"\x7f", b"\xff", b"%2f", b"%2e", b"/..", b"//",
        b";", b"0",
    ];
    prop_oneof![
        4 => prop::sample::select(pieces).prop_map(|piece| Edit::Insert(piece.to_vec())),
        1 => prop::collection::vec(any::<u8>(), 1..4).prop_map(Edit::Insert),
        2 => any::<u8>().prop_map(Edit::Replace),
        1 => any::<Index>().prop_map(Edit::Delete),
        1 => any::<Index>().prop_map(Edit::Repeat),
    ]
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds").join(target);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let seeds: Vec<_> = files.map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect();
    assert!(!seeds.is_empty(), "{} is empty", folder.display());
    seeds
}

/// Every seed, then as many inputs made from them.
fn ask(target: &str, cases: u32, check: fn(&[u8])) {
    let seeds = seeds(target);
    for seed in &seeds {
        check(seed);
    }
    let edits = prop::collection::vec((any::<Index>(), edit()), 0..6);
    let edited = (prop::sample::select(seeds), edits).prop_map(|(mut bytes, edits)| {
        for (at, edit) in &edits {
            edit.apply(*at, &mut bytes);
        }
        bytes
    });
    let anything = prop::collection::vec(any::<u8>(), 0..64);
    proptest!(ProptestConfig::with_cases(cases), |(bytes in prop_oneof![9 => edited, 1 => anything])| check(&bytes));
}

#[test]
fn heads() {
    ask("http1_head", 4_000, properties::http1_head::check);
}

#[test]
fn chunked_bodies() {
    ask("http1_body", 4_000, properties::http1_body::check);
}

#[test]
fn requests_and_routes() {
    ask("route_match", 500, properties::route_match::check);
}

#[test]
fn proxy_headers() {
    ask("proxy_protocol", 4_000, properties::proxy_protocol::check);
}
