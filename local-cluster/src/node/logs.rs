//! What `kubectl logs` asks for, from the logs of pods.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::stream::{self, BoxStream, StreamExt};
use jiff::Timestamp;
use serde_json::Value;

use super::log_file::{Piece, Reader};
use super::pod::Pod;
use super::pods::Shared;
use super::{LogOptions, Logs};
use crate::failure::Failure;
use crate::kinds;

/// Lines are sent together up to this size.
const TOGETHER: usize = 32 * 1024;

pub(super) struct NodeLogs(pub(super) Arc<Shared>);

impl Logs for NodeLogs {
    fn logs(
        &self,
        namespace: &str,
        pod: &str,
        options: &LogOptions,
    ) -> Result<BoxStream<'static, Bytes>, Failure> {
        let object = self.0.objects.get(&kinds::pods(), namespace, pod);
        let object = object.ok_or_else(|| Failure::not_found(&kinds::pods(), pod))?;
        let running = self.0.pod(namespace, pod);
        let container = container_name(&object, options)?;
        let log = running.as_ref().and_then(|running| running.log(&container, options.previous));
        let Some(log) = log else {
            return Err(Failure::bad_request(absence(
                &object,
                running.as_deref(),
                &container,
                options.previous,
            )));
        };
        let mut reader = log.reader();
        let mut sender = Sender { options: options.clone(), left: options.limit_bytes, line_begins: true };
        let since = options.since_seconds.map(|seconds| Timestamp::now() - Duration::from_secs(seconds));
        let there = read_all(&mut reader, since, options.tail_lines)
            .map_err(|error| Failure::internal(format!("failed to read the log: {error}")))?;
        let first = sender.written(&there);
        let follow = options.follow;
        let rest = stream::unfold((reader, sender, log), move |(mut reader, mut sender, log)| async move {
            if !follow || sender.left == Some(0) {
                return None;
            }
            let piece = reader.follow().await.ok()??;
            let mut pieces = vec![piece];
            let mut size = 0;
            while size < TOGETHER
                && let Ok(Some(piece)) = reader.next()
            {
                size += piece.text.len();
                pieces.push(piece);
            }
            Some((sender.written(&pieces), (reader, sender, log)))
        });
        let first = stream::iter(Some(first).filter(|first| !first.is_empty()));
        Ok(first.chain(rest).boxed())
    }
}

/// The container asked for, or the only one, or the one the pod names as its default.
fn container_name(pod: &Value, options: &LogOptions) -> Result<String, Failure> {
    let names = |field: &str| -> Vec<String> {
        let containers = pod["spec"][field].as_array().into_iter().flatten();
        containers.filter_map(|one| one["name"].as_str().map(ToOwned::to_owned)).collect()
    };
    let (mains, init) = (names("containers"), names("initContainers"));
    let pod_name = kinds::name(pod);
    if !options.container.is_empty() {
        let known = mains.iter().chain(&init).any(|name| *name == options.container);
        let unknown = || {
            Failure::bad_request(format!("container {} is not valid for pod {pod_name}", options.container))
        };
        return known.then(|| options.container.clone()).ok_or_else(unknown);
    }
    if let [only] = &mains[..] {
        return Ok(only.clone());
    }
    let init = if init.is_empty() {
        String::new()
    } else {
        format!(" or one of the init containers: [{}]", init.join(" "))
    };
    Err(Failure::bad_request(format!(
        "a container name must be specified for pod {pod_name}, choose one of: [{}]{init}",
        mains.join(" ")
    )))
}

/// Why there is no log.
fn absence(object: &Value, pod: Option<&Pod>, container: &str, previous: bool) -> String {
    let name = kinds::name(object);
    if previous && pod.is_some_and(|pod| pod.log(container, false).is_some()) {
        return format!("previous terminated container \"{container}\" in pod \"{name}\" not found");
    }
    let waiting = pod.and_then(|pod| pod.seen(container, super::pod_status::Seen::waiting_for)).flatten();
    let why = waiting.unwrap_or("ContainerCreating");
    let why = match why {
        "ErrImagePull" | "ImagePullBackOff" => "trying and failing to pull image".to_owned(),
        other => other.to_owned(),
    };
    format!("container \"{container}\" in pod \"{name}\" is waiting to start: {why}")
}

/// What is there now: the last `tail` lines of those since a time.
fn read_all(reader: &mut Reader, since: Option<Timestamp>, tail: Option<usize>) -> io::Result<Vec<Piece>> {
    let mut pieces = std::collections::VecDeque::new();
    let mut lines = 0_usize;
    while let Some(piece) = reader.next()? {
        if since.is_some_and(|since| piece.time < since) {
            continue;
        }
        lines += usize::from(piece.whole);
        pieces.push_back(piece);
        while tail.is_some_and(|tail| lines > tail) {
            if pieces.pop_front().is_some_and(|piece: Piece| piece.whole) {
                lines -= 1;
            }
        }
    }
    Ok(pieces.into())
}

/// Writes lines as asked for, up to the limit.
struct Sender {
    options: LogOptions,
    left: Option<usize>,
    line_begins: bool,
}

impl Sender {
    fn written(&mut self, pieces: &[Piece]) -> Bytes {
        let mut out = BytesMut::new();
        for piece in pieces {
            if self.options.timestamps && self.line_begins {
                out.put_slice(format!("{:.9} ", piece.time).as_bytes());
            }
            out.put_slice(&piece.text);
            if piece.whole {
                out.put_u8(b'\n');
            }
            self.line_begins = piece.whole;
        }
        if let Some(left) = &mut self.left {
            out.truncate(*left);
            *left -= out.len();
        }
        out.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::log_file::{LogFile, Stream};

    fn log() -> (tempfile::TempDir, Arc<LogFile>) {
        let folder = tempfile::tempdir().unwrap();
        let log = LogFile::create(&folder.path().join("0.log"), 1 << 20).unwrap();
        for line in ["one", "two", "three"] {
            log.write(Stream::Out, line.as_bytes(), true);
        }
        (folder, log)
    }

    fn written(log: &Arc<LogFile>, options: LogOptions) -> String {
        let pieces = read_all(&mut log.reader(), None, options.tail_lines).unwrap();
        let left = options.limit_bytes;
        let bytes = Sender { options, left, line_begins: true }.written(&pieces);
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn tail_limit_and_times() {
        let (_folder, log) = log();
        assert_eq!(written(&log, LogOptions::default()), "one\ntwo\nthree\n");
        assert_eq!(written(&log, LogOptions { tail_lines: Some(2), ..Default::default() }), "two\nthree\n");
        assert_eq!(written(&log, LogOptions { tail_lines: Some(0), ..Default::default() }), "");
        assert_eq!(written(&log, LogOptions { limit_bytes: Some(5), ..Default::default() }), "one\nt");
        let timed = written(&log, LogOptions { timestamps: true, tail_lines: Some(1), ..Default::default() });
        let (time, text) = timed.split_once(' ').unwrap();
        assert_eq!(text, "three\n");
        assert_eq!(time.len(), "2026-01-01T00:00:00.000000000Z".len(), "{time}");
        assert!(time.parse::<Timestamp>().is_ok());
    }

    #[test]
    fn since_a_time_leaves_out_what_was_before() {
        let (_folder, log) = log();
        let later = Timestamp::now() + Duration::from_mins(1);
        assert!(read_all(&mut log.reader(), Some(later), None).unwrap().is_empty());
    }

    #[test]
    fn a_pod_with_several_containers_wants_one_named() {
        let pod = serde_json::json!({
            "metadata": {"name": "p"},
            "spec": {"containers": [{"name": "a"}, {"name": "b"}], "initContainers": [{"name": "i"}]},
        });
        let error = container_name(&pod, &LogOptions::default()).unwrap_err();
        assert_eq!(
            error.message,
            "a container name must be specified for pod p, choose one of: [a b] or one of the init containers: [i]"
        );
        let named = LogOptions { container: "i".to_owned(), ..Default::default() };
        assert_eq!(container_name(&pod, &named).unwrap(), "i");
        let wrong = LogOptions { container: "x".to_owned(), ..Default::default() };
        assert_eq!(container_name(&pod, &wrong).unwrap_err().message, "container x is not valid for pod p");
    }
}
