//! What the fakes know, and how they answer.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::Value;

const RECORDED: &str = include_str!("../data/programs.json");

/// Arguments of a call.
pub(crate) struct Words(pub(crate) Vec<String>);

impl Words {
    /// Whether they begin so.
    pub(crate) fn are(&self, beginning: &str) -> bool {
        let beginning: Vec<&str> = beginning.split(' ').collect();
        self.0.len() >= beginning.len() && self.0.iter().zip(beginning).all(|(word, wanted)| word == wanted)
    }

    /// The value of a flag.
    pub(crate) fn flag(&self, name: &str) -> Option<&str> {
        let at = self.0.iter().position(|word| word == name)?;
        self.0.get(at + 1).map(String::as_str)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|word| word == name)
    }

    pub(crate) fn last(&self) -> &str {
        self.0.last().unwrap()
    }
}

pub(crate) struct State(PathBuf);

impl State {
    pub(crate) fn open() -> State {
        State(std::env::var_os("FAKES").expect("FAKES names a folder").into())
    }

    pub(crate) fn log(&self, program: &str, arguments: &[String]) {
        let mut log = std::fs::File::options().create(true).append(true).open(self.0.join("calls")).unwrap();
        let kubeconfig = std::env::var("KUBECONFIG").unwrap_or_default();
        writeln!(log, "{program} {} [KUBECONFIG={kubeconfig}]", arguments.join(" ")).unwrap();
    }

    /// Whether a fault was asked for; once, unless it was for always.
    pub(crate) fn fault(&self, what: &str) -> bool {
        let file = self.0.join("faults");
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        if text.lines().any(|line| line == format!("always {what}")) {
            return true;
        }
        let mut lines: Vec<&str> = text.lines().collect();
        let Some(at) = lines.iter().position(|line| *line == what) else { return false };
        lines.remove(at);
        std::fs::write(&file, lines.join("\n")).unwrap();
        true
    }

    /// The folder of a cluster: it is there while its containers are.
    pub(crate) fn cluster(&self, maker: &str, name: &str) -> PathBuf {
        self.0.join("clusters").join(maker).join(name)
    }

    pub(crate) fn clusters(&self, maker: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.join("clusters").join(maker)).into_iter().flatten();
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
    }

    /// The folder of the only cluster there is.
    pub(crate) fn only(&self) -> PathBuf {
        let all = ["kind", "k3d", "own"].iter().flat_map(|maker| {
            self.clusters(maker).into_iter().map(|name| self.cluster(maker, &name)).collect::<Vec<_>>()
        });
        all.last().expect("there is a cluster")
    }

    /// The folder of the cluster whose node is a container of this name.
    pub(crate) fn node(&self, container: &str) -> Option<PathBuf> {
        let kind = self
            .clusters("kind")
            .into_iter()
            .map(|name| (format!("{name}-control-plane"), self.cluster("kind", &name)));
        let k3d = self
            .clusters("k3d")
            .into_iter()
            .map(|name| (format!("k3d-{name}-server-0"), self.cluster("k3d", &name)));
        kind.chain(k3d).find(|(node, _)| node == container).map(|(_, folder)| folder)
    }

    /// Lines of a file; none where there is no file.
    pub(crate) fn lines(&self, file: &str) -> Vec<String> {
        lines(&self.0.join(file))
    }

    pub(crate) fn set(&self, file: &str, lines: &[String]) {
        std::fs::write(self.0.join(file), lines.join("\n")).unwrap();
    }

    pub(crate) fn add(&self, file: &str, line: &str) {
        add(&self.0.join(file), &[line.to_owned()]);
    }
}

pub(crate) fn lines(file: &Path) -> Vec<String> {
    std::fs::read_to_string(file).unwrap_or_default().lines().map(str::to_owned).collect()
}

pub(crate) fn add(file: &Path, more: &[String]) {
    let mut all = lines(file);
    all.extend(more.iter().filter(|line| !lines(file).contains(line)).cloned());
    std::fs::write(file, all.join("\n")).unwrap();
}

/// Says what was recorded under this name; `article` was the cluster's name then.
pub(crate) fn recorded(what: &str, cluster: &str) -> ExitCode {
    let all: Value = serde_json::from_str(RECORDED).unwrap();
    let said = &all[what];
    assert!(said.is_object(), "nothing was recorded as {what}");
    let text = |stream: &str| said[stream].as_str().unwrap().replace("article", cluster);
    print!("{}", text("stdout"));
    eprint!("{}", text("stderr"));
    ExitCode::from(u8::try_from(said["exit_code"].as_u64().unwrap()).unwrap())
}

pub(crate) fn refused(words: &str) -> ExitCode {
    eprintln!("{words}");
    ExitCode::FAILURE
}
