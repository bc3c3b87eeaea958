//! What this machine can run, and the command that mends each lack.

mod clusters;

use std::fmt::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use clap::ValueEnum;

use super::{Failed, print};
use crate::cli::{DoctorArgs, EnvironmentName};
use crate::project;
use crate::runner::{PASSED, UNAVAILABLE};

/// One thing that was looked at.
struct Finding {
    name: &'static str,
    /// Without it, what is meant by `for_what` can't be had.
    needed: bool,
    /// What is there, or what is lacking and how to mend it.
    state: Result<String, (String, String)>,
    for_what: &'static str,
}

/// An environment, and what it needs.
struct Section {
    environment: EnvironmentName,
    findings: Vec<Finding>,
}

impl Section {
    fn is_fit(&self) -> bool {
        !self.findings.iter().any(|finding| finding.needed && finding.state.is_err())
    }
}

pub(super) async fn doctor(args: &DoctorArgs) -> Result<u8, Failed> {
    let root = project::root().map_err(Failed::usage)?;
    let target = project::target(&root);
    let local = vec![programs(), folder(&target), loopback(), open_files(), kubectl()];
    let mut sections = vec![Section { environment: EnvironmentName::Local, findings: local }];
    sections.extend(clusters::sections(&target).await);
    let mut text = String::new();
    for section in &sections {
        let name = section.environment.to_possible_value();
        let name = name.as_ref().map(clap::builder::PossibleValue::get_name).unwrap_or_default();
        let fit = if section.is_fit() { "can run here" } else { "can't run here" };
        let _ = writeln!(text, "{name}: {fit}");
        for finding in &section.findings {
            tell(&mut text, finding);
        }
        text.push('\n');
    }
    let asked = args.environment.unwrap_or(EnvironmentName::Local);
    let fit = sections.iter().any(|section| section.environment == asked && section.is_fit());
    print(&text);
    let asked = asked.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    if !fit {
        return Err(Failed::new(UNAVAILABLE, format!("the environment `{asked}` can't run here")));
    }
    print(&format!("to run it: cargo run -p harness scenarios --env {asked}\n"));
    Ok(PASSED)
}

fn tell(text: &mut String, finding: &Finding) {
    let (word, what) = match &finding.state {
        Ok(there) => ("ok", there.clone()),
        Err((lack, mend)) => {
            let word = if finding.needed { "LACKING" } else { "without" };
            (word, format!("{lack}\n{:28}to mend: {mend}", ""))
        }
    };
    let _ = writeln!(text, "  {word:8} {:16} {what}", finding.name);
    if finding.state.is_err() {
        let _ = writeln!(text, "{:28}needed for: {}", "", finding.for_what);
    }
}

fn programs() -> Finding {
    let cargo =
        std::env::var_os("CARGO").map(std::path::PathBuf::from).or_else(|| which::which("cargo").ok());
    let beside = std::env::current_exe()
        .ok()
        .filter(|own| ["gateway", "echo-service"].iter().all(|name| own.with_file_name(name).is_file()));
    let state = match (cargo, beside) {
        (Some(cargo), _) => Ok(format!("cargo builds them: {}", cargo.display())),
        (None, Some(own)) => Ok(format!("beside {}", own.display())),
        (None, None) => Err((
            "there is no cargo, and no gateway and echo-service beside this program".to_owned(),
            "install Rust, see https://rustup.rs".to_owned(),
        )),
    };
    Finding { name: "programs", needed: true, state, for_what: "the pods of the environment `local`" }
}

fn folder(target: &Path) -> Finding {
    let probe = target.join("probe");
    let state = std::fs::create_dir_all(target)
        .and_then(|()| std::fs::write(&probe, "x"))
        .and_then(|()| std::fs::remove_file(&probe))
        .map(|()| target.display().to_string())
        .map_err(|error| {
            let lack = format!("{} can't be written: {error}", target.display());
            (lack, "make it writable, or set CARGO_TARGET_DIR to a folder that is".to_owned())
        });
    Finding { name: "folder of runs", needed: true, state, for_what: "kubeconfigs, logs and evidence" }
}

fn loopback() -> Finding {
    let state = TcpListener::bind((Ipv4Addr::new(127, 99, 0, 1), 0))
        .map(|_| "each pod gets an address of its own in 127.0.0.0/8".to_owned())
        .map_err(|error| {
            let lack = format!(
                "only 127.0.0.1 can be listened on ({error}); pods share it and get ports of their own"
            );
            (lack, "sudo ifconfig lo0 alias 127.99.0.1 (on macOS, for each address)".to_owned())
        });
    Finding { name: "loopback", needed: false, state, for_what: "scenarios that send from several addresses" }
}

fn open_files() -> Finding {
    let limit = std::fs::read_to_string("/proc/self/limits").ok().and_then(|limits| {
        let line = limits.lines().find(|line| line.starts_with("Max open files"))?;
        line.split_whitespace().nth(3)?.parse::<u64>().ok()
    });
    let state = match limit {
        Some(limit) if limit < 1_024 => {
            Err((format!("a process may open only {limit} files"), "ulimit -Hn 4096, as root".to_owned()))
        }
        Some(limit) => Ok(format!("a process may open {limit}")),
        None => Ok("the limit is not known on this system".to_owned()),
    };
    Finding { name: "open files", needed: false, state, for_what: "hundreds of connections at a time" }
}

fn kubectl() -> Finding {
    let state = which::which("kubectl").map(|path| path.display().to_string()).map_err(|_| {
        let mend = "see https://kubernetes.io/docs/tasks/tools".to_owned();
        ("not found; scenarios don't need it".to_owned(), mend)
    });
    Finding {
        name: "kubectl",
        needed: false,
        state,
        for_what: "typing the article's commands after `harness up`",
    }
}
