//! Which program stands for which container image.
//!
//! Only programs in this table are ever run: neither an image nor a pod's `command` can name another.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A program that stands for an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    pub path: PathBuf,
    /// What comes before the container's own arguments.
    pub arguments: Vec<String>,
    /// What the image itself sets; the container's own come over it.
    pub environment: Vec<(String, String)>,
}

/// The table, by image name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Images(BTreeMap<String, Program>);

/// What a container is to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Invocation {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<String>,
    pub(super) environment: Vec<(String, String)>,
}

impl Images {
    /// Adds a program, or takes its place. `name` is an image name with or without registry and tag; the more of
    /// these it has, the fewer images it stands for.
    pub fn insert(&mut self, name: impl Into<String>, program: Program) {
        self.0.insert(name.into(), program);
    }

    /// Adds `NAME=PROGRAM` as typed: a path, or the name of a program in PATH.
    ///
    /// # Errors
    /// Says what is wrong with the text, or that there is no such program.
    pub fn insert_typed(&mut self, text: &str) -> Result<(), String> {
        let (name, program) = text
            .split_once('=')
            .filter(|(name, program)| !name.is_empty() && !program.is_empty())
            .ok_or_else(|| {
                format!("{text}: expected NAME=PROGRAM such as http-echo=./target/debug/echo-service")
            })?;
        let path = executable(program).ok_or_else(|| {
            format!("{text}: there is no executable file {program}; give its path, or a name found in PATH")
        })?;
        self.insert(name, Program { path, arguments: Vec::new(), environment: Vec::new() });
        Ok(())
    }

    /// The program for an image as a pod writes it: by its whole name, else without digest or tag, else by the
    /// last part of its name, with and without tag.
    ///
    /// # Errors
    /// Names the image, what the table has, and how to add to it.
    pub(super) fn find(&self, image: &str) -> Result<&Program, String> {
        let without_digest = image.split_once('@').map_or(image, |(name, _)| name);
        let without_tag = match without_digest.rsplit_once(':') {
            // A colon before a slash is a registry's port.
            Some((name, tag)) if !tag.contains('/') => name,
            _ => without_digest,
        };
        let last = |name: &'_ str| name.rsplit('/').next().unwrap_or_default().to_owned();
        let candidates = [
            image.to_owned(),
            without_digest.to_owned(),
            without_tag.to_owned(),
            last(without_digest),
            last(without_tag),
        ];
        candidates.iter().find_map(|name| self.0.get(name)).ok_or_else(|| {
            let known: Vec<&str> = self.0.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "no image at all".to_owned() } else { known.join(", ") };
            format!(
                "no program stands for image \"{image}\": this cluster runs pods as local processes and knows \
                 {known}; start it with --image {}=PROGRAM to add one",
                last(without_tag)
            )
        })
    }

    /// What to run for a container with this image, `command` and `args`. As with images, a command takes the
    /// place of the image's own; its first word must be the name of the image's program, or a name in the table.
    ///
    /// # Errors
    /// When the image is unknown, or the command is another program.
    pub(super) fn invocation(
        &self,
        image: &str,
        command: &[String],
        arguments: &[String],
    ) -> Result<Invocation, String> {
        let program = self.find(image)?;
        let environment = program.environment.clone();
        let Some((first, rest)) = command.split_first() else {
            let arguments = program.arguments.iter().chain(arguments).cloned().collect();
            return Ok(Invocation { program: program.path.clone(), arguments, environment });
        };
        let name = first.rsplit('/').next().unwrap_or_default();
        let path = if Some(name.as_ref()) == program.path.file_name() {
            &program.path
        } else if let Some(other) = self.0.get(name) {
            &other.path
        } else {
            return Err(format!(
                "command \"{first}\" is not the program of image \"{image}\", which is {}; leave command out, or \
                 start the cluster with --image {name}=PROGRAM",
                program.path.display()
            ));
        };
        let arguments = rest.iter().chain(arguments).cloned().collect();
        Ok(Invocation { program: path.clone(), arguments, environment })
    }
}

fn executable(program: &str) -> Option<PathBuf> {
    let is_executable = |path: &Path| {
        path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    };
    if program.contains('/') {
        // Processes start in folders of their own.
        return std::path::absolute(program).ok().filter(|path| is_executable(path));
    }
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(program)).find(|path| is_executable(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images() -> Images {
        let mut images = Images::default();
        for (name, path) in
            [("http-echo", "/bin/echo-service"), ("r.io/x/gateway:2", "/bin/gateway"), ("sh", "/bin/sh")]
        {
            let environment = vec![("OF".to_owned(), name.to_owned())];
            images
                .insert(name, Program { path: path.into(), arguments: vec!["run".to_owned()], environment });
        }
        images
    }

    #[test]
    fn images_are_found_with_and_without_registry_and_tag() {
        let images = images();
        for image in [
            "http-echo",
            "http-echo:latest",
            "boeboe/http-echo:1.0",
            "localhost:5000/http-echo",
            "docker.io/boeboe/http-echo@sha256:0123",
        ] {
            assert_eq!(images.find(image).unwrap().path, Path::new("/bin/echo-service"), "{image}");
        }
        assert!(images.find("r.io/x/gateway:2").is_ok());
        assert!(images.find("r.io/x/gateway:3").is_err());
        let error = images.find("docker.io/library/nginx:1.27").unwrap_err();
        assert!(error.contains("docker.io/library/nginx:1.27") && error.contains("http-echo"), "{error}");
        assert!(error.ends_with("--image nginx=PROGRAM to add one"), "{error}");
    }

    #[test]
    fn a_command_can_only_name_programs_of_the_table() {
        let images = images();
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let run = |command: &[&str], arguments: &[&str]| {
            images.invocation("http-echo", &words(command), &words(arguments))
        };
        let plain = run(&[], &["8080"]).unwrap();
        assert_eq!(plain.arguments, ["run", "8080"]);
        let own = run(&["/usr/local/bin/echo-service", "bin"], &["8080"]).unwrap();
        assert_eq!(
            (own.program.to_str(), own.arguments),
            (Some("/bin/echo-service"), words(&["bin", "8080"]))
        );
        let other = run(&["/bin/sh", "-c", "true"], &[]).unwrap();
        assert_eq!(other.program, Path::new("/bin/sh"));
        assert_eq!(
            other.environment,
            [("OF".to_owned(), "http-echo".to_owned())],
            "the image stays the same"
        );
        let error = run(&["/bin/rm", "-r"], &[]).unwrap_err();
        assert!(error.contains("\"/bin/rm\" is not the program of image"), "{error}");
    }

    #[test]
    fn what_is_typed_is_checked() {
        let mut images = Images::default();
        images.insert_typed("shell=sh").unwrap();
        assert!(images.find("shell").unwrap().path.is_absolute());
        for bad in ["shell", "=sh", "shell=", "shell=/no/such/program"] {
            assert!(images.insert_typed(bad).unwrap_err().starts_with(bad), "{bad}");
        }
    }
}
