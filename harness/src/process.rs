//! Programs of others, called the way a person would: `kind`, `k3d`, `docker`, `istioctl`, `helm`. Each call has a time
//! limit, no input but what it is given, and a process group of its own that ends with it, also when it is dropped
//! halfway. What was called and what it said stands in the run's log.
//!
//! An exit code is told as it came. What it is worth is for the caller to know: some programs say 0 when they failed.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

use crate::environment::{Tell, Told};

/// After so long a call that is under way tells what it said last, again and again.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long what it started may keep its output open after it has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Lines that are shown of what a program said when it failed.
const TAIL: usize = 20;

/// Process groups that are alive, for the end that leaves no time to wait.
static GROUPS: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// One call.
#[derive(Debug, Clone)]
pub struct Call {
    program: String,
    arguments: Vec<String>,
    limit: Duration,
    input: Option<PathBuf>,
    folder: Option<PathBuf>,
    environment: Vec<(String, String)>,
    own_home: bool,
}

impl Call {
    /// `docker image ls` and the like; words are separated by single spaces.
    pub fn new(words: &str) -> Call {
        let mut words = words.split(' ').map(str::to_owned);
        Call {
            program: words.next().unwrap_or_default(),
            arguments: words.collect(),
            limit: Duration::from_secs(30),
            input: None,
            folder: None,
            environment: Vec::new(),
            own_home: false,
        }
    }

    /// A program by its name or its path, whatever is in that.
    pub fn program(program: impl Into<String>) -> Call {
        let mut call = Call::new("");
        call.program = program.into();
        call.arguments.clear();
        call
    }

    /// One more argument, whatever is in it.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<String>) -> Call {
        self.arguments.push(argument.into());
        self
    }

    #[must_use]
    pub fn args<S: Into<String>>(mut self, arguments: impl IntoIterator<Item = S>) -> Call {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// How long it may take; 30 s unless told otherwise.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Call {
        self.limit = limit;
        self
    }

    /// A file for its standard input, which is closed otherwise.
    #[must_use]
    pub fn input(mut self, file: &Path) -> Call {
        self.input = Some(file.to_owned());
        self
    }

    /// Where it runs.
    #[must_use]
    pub fn at(mut self, folder: &Path) -> Call {
        self.folder = Some(folder.to_owned());
        self
    }

    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Call {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Keeps the user's home: for a program that finds its way to others there.
    #[must_use]
    pub fn at_home(mut self) -> Call {
        self.own_home = true;
        self
    }

    /// As a person would type it.
    pub fn line(&self) -> String {
        let words = std::iter::once(&self.program).chain(&self.arguments).map(|word| quoted(word));
        let mut line = words.collect::<Vec<_>>().join(" ");
        if let Some(input) = &self.input {
            line = format!("{line} < {}", quoted(&input.display().to_string()));
        }
        line
    }
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+*".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub line: String,
    /// Nothing when a signal ended it.
    pub code: Option<i32>,
    /// Without escapes that colour it.
    pub stdout: String,
    pub stderr: String,
}

impl Said {
    /// Itself if the exit code is 0.
    ///
    /// # Errors
    /// The call, how it ended, and what it said last.
    pub fn ok(self) -> Result<Said, String> {
        if self.code == Some(0) { Ok(self) } else { Err(self.failure()) }
    }

    /// The call, how it ended, and what it said last.
    pub fn failure(&self) -> String {
        let ended = match self.code {
            Some(code) => format!("exit code {code}"),
            None => "ended by a signal".to_owned(),
        };
        let said = self.last_words();
        let said = if said.is_empty() { "it said nothing".to_owned() } else { said };
        format!("`{}` failed ({ended}):\n{}", self.line, indented(&said))
    }

    /// The last lines of what it said; of the errors where there are any.
    pub fn last_words(&self) -> String {
        let text = if self.stderr.trim().is_empty() { &self.stdout } else { &self.stderr };
        tail(text, TAIL)
    }

    pub fn says(&self, words: &str) -> bool {
        self.stdout.contains(words) || self.stderr.contains(words)
    }
}

/// The last lines that say something.
pub fn tail(text: &str, lines: usize) -> String {
    let said: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).map(str::trim_end).collect();
    said[said.len().saturating_sub(lines)..].join("\n")
}

pub fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

/// Text without the escapes that terminals colour by: some programs write them into pipes too.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\x1b') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(sequence) = rest.strip_prefix('[') {
            let end = sequence.find(|c: char| ('@'..='~').contains(&c)).map_or(sequence.len(), |end| end + 1);
            rest = &sequence[end..];
        }
    }
    out.push_str(rest);
    out
}

/// Calls programs for one run.
pub struct Caller {
    tell: Tell,
    log: Mutex<File>,
    /// Set for all of them.
    settings: Vec<(String, OsString)>,
    /// Taken from all of them.
    removed: Vec<String>,
    /// In the place of the user's home.
    home: Option<PathBuf>,
}

impl Caller {
    /// `log` takes what is called and said. With `home` programs read and write no settings of the user's.
    ///
    /// # Errors
    /// The log can't be written.
    pub fn new(log: &Path, home: Option<&Path>, tell: Tell) -> Result<Caller, String> {
        let failed =
            |path: &Path, error: std::io::Error| format!("failed to make {}: {error}", path.display());
        let file = File::options().create(true).append(true).open(log).map_err(|error| failed(log, error))?;
        if let Some(home) = home {
            std::fs::create_dir_all(home).map_err(|error| failed(home, error))?;
        }
        // What changes the meaning of a call; a call says all that it means.
        let removed = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).filter(|name| {
            let prefixes =
                ["KIND_CLUSTER", "K3D_", "HELM_", "ISTIOCTL_", "KUBE", "CARGO_PKG_", "CARGO_MANIFEST_"];
            prefixes.iter().any(|prefix| name.starts_with(prefix))
        });
        Ok(Caller {
            tell,
            log: Mutex::new(file),
            settings: vec![("NO_COLOR".to_owned(), "1".into())],
            removed: removed.collect(),
            home: home.map(Path::to_owned),
        })
    }

    /// A variable for every program.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<OsString>) -> Caller {
        self.settings.push((name.to_owned(), value.into()));
        self
    }

    /// Progress for whoever watches.
    pub fn tell(&self, text: impl Into<String>) {
        (self.tell)(Told::Step(text.into()));
    }

    /// Calls a program and gives what came of it, whatever its exit code.
    ///
    /// # Errors
    /// It could not be started, or ran out of its time; what it said until then.
    pub async fn call(&self, call: Call) -> Result<Said, String> {
        let (line, started) = (call.line(), Instant::now());
        let result = self.run(&call, &line, started).await;
        let took = started.elapsed();
        let (ended, text) = match &result {
            Ok(said) => (said.code.map_or("a signal".to_owned(), |code| code.to_string()), record(said)),
            Err(error) => ("none".to_owned(), indented(error)),
        };
        // A log that can't be written any more must not end what it logs.
        let _ = writeln!(
            self.log.lock(),
            "{} $ {line}\n{text}  exit code {ended} after {:.1} s\n",
            jiff::Timestamp::now().strftime("%H:%M:%S"),
            took.as_secs_f64()
        );
        let code = result.as_ref().ok().and_then(|said| said.code);
        (self.tell)(Told::Call { line, code, took_ms: took.as_millis() as u64 });
        result
    }

    /// The same, where any exit code but 0 is a failure.
    ///
    /// # Errors
    /// As said.
    pub async fn done(&self, call: Call) -> Result<Said, String> {
        self.call(call).await?.ok()
    }

    async fn run(&self, call: &Call, line: &str, started: Instant) -> Result<Said, String> {
        let mut command = tokio::process::Command::new(&call.program);
        command.args(&call.arguments);
        for name in &self.removed {
            command.env_remove(name);
        }
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command.envs(call.environment.iter().map(|(name, value)| (name, value)));
        if let Some(home) = self.home.as_ref().filter(|_| !call.own_home) {
            command.env("HOME", home).env("XDG_CONFIG_HOME", home.join(".config"));
        }
        if let Some(folder) = &call.folder {
            command.current_dir(folder);
        }
        let input = match &call.input {
            None => Stdio::null(),
            Some(file) => File::open(file)
                .map_err(|error| format!("failed to read {}: {error}", file.display()))?
                .into(),
        };
        command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        #[cfg(unix)]
        command.process_group(0);
        let mut child = command.spawn().map_err(|error| {
            if error.kind() == std::io::ErrorKind::NotFound
                && call.folder.as_ref().is_none_or(|at| at.is_dir())
            {
                format!("{} is not found in PATH", call.program)
            } else {
                format!("failed to start `{line}`: {error}")
            }
        })?;
        let group = Group::of(child.id());
        let last = Arc::new(Mutex::new(String::new()));
        let out = collect(child.stdout.take(), Arc::clone(&last));
        let errors = collect(child.stderr.take(), Arc::clone(&last));
        let mut ticks = tokio::time::interval(PATIENCE);
        ticks.tick().await;
        let ended = loop {
            let left = call.limit.saturating_sub(started.elapsed());
            tokio::select! {
                ended = child.wait() => break Some(ended),
                () = tokio::time::sleep(left) => break None,
                _ = ticks.tick() => {
                    let said = last.lock().clone();
                    let said = if said.is_empty() { String::new() } else { format!(": {said}") };
                    self.tell(format!("{} for {} s{said}", shown(line), started.elapsed().as_secs()));
                }
            }
        };
        drop(group);
        let (stdout, stderr) = (out.await, errors.await);
        let said = |code| Said { line: line.to_owned(), code, stdout, stderr };
        if let Some(ended) = ended {
            let ended = ended.map_err(|error| format!("failed to wait for `{line}`: {error}"))?;
            return Ok(said(ended.code()));
        }
        let words = said(None).last_words();
        let words = if words.is_empty() { "nothing".to_owned() } else { words };
        let limit = call.limit.as_secs();
        Err(format!("`{line}` did not end within {limit} s; it said last:\n{}", indented(&words)))
    }
}

/// Long lines are cut where progress is told.
fn shown(line: &str) -> String {
    const LONG: usize = 60;
    if line.chars().count() <= LONG {
        line.to_owned()
    } else {
        line.chars().take(LONG).chain("…".chars()).collect()
    }
}

fn record(said: &Said) -> String {
    let mut text = String::new();
    for (sign, stream) in [("", &said.stdout), ("! ", &said.stderr)] {
        for line in stream.lines() {
            text.extend(["  ", sign, line, "\n"]);
        }
    }
    text
}

/// Reads all lines from the moment this is called; the future gives them when the stream has ended, or a moment
/// after it is asked for.
fn collect(
    stream: Option<impl AsyncRead + Unpin + Send + 'static>,
    last: Arc<Mutex<String>>,
) -> impl Future<Output = String> {
    let text = Arc::new(Mutex::new(String::new()));
    let kept = Arc::clone(&text);
    let reading = tokio::spawn(async move {
        let Some(stream) = stream else { return };
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0) {
            let said = plain(&String::from_utf8_lossy(&line));
            line.clear();
            if !said.trim().is_empty() {
                said.trim().clone_into(&mut last.lock());
            }
            kept.lock().push_str(&said);
        }
    });
    async move {
        let abort = reading.abort_handle();
        if tokio::time::timeout(LAST_WORDS, reading).await.is_err() {
            // What it started lives on and holds its output.
            abort.abort();
        }
        std::mem::take(&mut *text.lock())
    }
}

/// A process group that ends when this is dropped.
struct Group(Option<i32>);

impl Group {
    fn of(pid: Option<u32>) -> Group {
        let group = pid.and_then(|pid| i32::try_from(pid).ok());
        GROUPS.lock().extend(group);
        Group(group)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            kill(group);
            GROUPS.lock().remove(&group);
        }
    }
}

/// Ends every program that was called and has not ended, with all that it started.
pub fn end_all() {
    for group in std::mem::take(&mut *GROUPS.lock()) {
        kill(group);
    }
}

#[cfg(unix)]
fn kill(group: i32) {
    use nix::sys::signal::{Signal, killpg};
    // Usually nobody is left.
    let _ = killpg(nix::unistd::Pid::from_raw(group), Signal::SIGKILL);
}

#[cfg(not(unix))]
fn kill(_group: i32) {}

#[cfg(test)]
mod tests;
