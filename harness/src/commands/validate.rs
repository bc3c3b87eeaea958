//! Judges scenario files without running them.

use std::io::IsTerminal;

use super::{Failed, print};
use crate::cli::ValidateArgs;
use crate::project;
use crate::runner::{PASSED, USAGE};
use crate::scenario::{schema, select};

pub(super) fn validate(args: &ValidateArgs) -> Result<u8, Failed> {
    if args.schema {
        print(&format!("{}\n", schema::text()));
        return Ok(PASSED);
    }
    let root = project::root().map_err(Failed::usage)?;
    let files = match &args.files[..] {
        [] => select::files(&root).map_err(Failed::usage)?,
        given => given.iter().map(|file| file.canonicalize().unwrap_or_else(|_| file.clone())).collect(),
    };
    let mut faulty = 0;
    for file in &files {
        if let Err(bad) = select::read(&root, file) {
            faulty += 1;
            eprintln!("{}\n", bad.render(std::io::stderr().is_terminal()));
        }
    }
    if faulty > 0 {
        return Err(Failed::new(USAGE, format!("{faulty} of {} scenario files are wrong", files.len())));
    }
    print(&format!("{} scenario files are fine\n", files.len()));
    Ok(PASSED)
}
