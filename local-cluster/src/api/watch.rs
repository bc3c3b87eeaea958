//! Watches: a stream of events, one JSON document a line.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::watch::Receiver;
use tokio::time::{Instant, sleep_until};

use super::Answered;
use super::answer::{Answer, Content};
use super::call::Call;
use super::list::Selection;
use super::media::{Format, View, negotiate_stream};
use super::query::ListOptions;
use super::table::{self, Include};
use crate::failure::Failure;
use crate::store::{Event, Events, Next};

/// How often a quiet watch is told how far it is.
const BOOKMARKS: Duration = Duration::from_mins(1);
/// The last bookmark comes so long before the end.
const LAST_BOOKMARK: Duration = Duration::from_secs(2);
/// A watch that doesn't say how long it wants ends after half an hour to an hour.
const DEFAULT_SECONDS: std::ops::Range<u64> = 1800..3600;

struct Stream {
    call: Call,
    selection: Selection,
    view: View,
    include: Include,
    /// Lines to be sent before anything else.
    ready: VecDeque<Bytes>,
    events: Option<Events>,
    /// The first event of a table carries its columns.
    columns_sent: bool,
    /// When the next bookmark is due, if bookmarks are wanted.
    bookmark: Option<Instant>,
    end: Instant,
    breaks: Receiver<u64>,
}

impl Call {
    pub(super) fn stream(self) -> Answered {
        let wanted = negotiate_stream(self.asked.accept(), false)?;
        let options = ListOptions::read(self.query(), true)?;
        let selection = Selection::read(&self)?;
        let include = Include::read(self.query())?;
        let seconds = options.timeout_seconds.filter(|seconds| *seconds > 0);
        let seconds = seconds.unwrap_or_else(|| fastrand::u64(DEFAULT_SECONDS));
        let end = Instant::now() + Duration::from_secs(seconds);
        let breaks = self.api.faults.breaks();
        let mut stream = Stream {
            selection,
            view: wanted.view,
            include,
            ready: VecDeque::new(),
            events: None,
            columns_sent: false,
            bookmark: options.bookmarks.then(|| Instant::now() + BOOKMARKS),
            end,
            breaks,
            call: self,
        };
        stream.begin(&options);
        // A short watch needs no bookmark to end with.
        if seconds < 10 {
            stream.bookmark = None;
        }
        let body = stream::unfold(stream, |mut stream| async move {
            let line = stream.next().await?;
            Some((line, stream))
        });
        let content = Content::Stream(Format::Json.media_type(), body.boxed());
        Ok((Answer::new(200, content), Format::Json))
    }
}

/// The answer to a watch from a state that is no longer known.
pub(super) fn expired(failure: &Failure) -> Answer {
    let line = line(&json!({"type": "ERROR", "object": failure.status()}));
    Answer::new(200, Content::Stream(Format::Json.media_type(), stream::iter([line]).boxed()))
}

fn line(event: &Value) -> Bytes {
    let mut text = event.to_string();
    text.push('\n');
    text.into()
}

impl Stream {
    /// Decides where to begin, and what to tell first.
    fn begin(&mut self, options: &ListOptions) {
        let store = self.call.api.objects.store();
        let resource = self.call.rules.resource.clone();
        let initial = match (options.send_initial, options.version) {
            (Some(send), _) => send,
            (None, version) => version.unwrap_or(0) == 0,
        };
        let after = match options.version {
            Some(version) if version > 0 && !initial => version,
            _ => {
                let (objects, revision) = store.list(&resource, self.call.target.namespace.as_deref());
                for object in objects.iter().filter(|_| initial) {
                    let shown = self.call.show(object).into_owned();
                    if self.takes(&shown) {
                        let event = self.event("ADDED", &shown);
                        self.ready.push_back(event);
                    }
                }
                if options.send_initial == Some(true) && options.bookmarks {
                    let mut annotated = self.bookmark_object(revision);
                    annotated["metadata"]["annotations"] = json!({"k8s.io/initial-events-end": "true"});
                    let event = self.event("BOOKMARK", &annotated);
                    self.ready.push_back(event);
                }
                revision
            }
        };
        match self.call.api.objects.store().watch(Some(&resource), after) {
            Ok(events) => self.events = Some(events),
            Err(expired) => {
                let why = format!("too old resource version: {after} ({})", expired.oldest);
                self.ready
                    .push_back(line(&json!({"type": "ERROR", "object": Failure::expired(why).status()})));
            }
        }
    }

    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Some(line);
            }
            let events = self.events.as_mut()?;
            let bookmark = self.bookmark.unwrap_or(self.end);
            tokio::select! {
                biased;
                () = self.call.api.stopping.cancelled() => return None,
                _ = self.breaks.changed() => return None,
                next = events.next() => match next {
                    Next::Closed => return None,
                    Next::Expired(expired) => {
                        self.events = None;
                        let why = format!("too old resource version: the history begins at {}", expired.oldest);
                        return Some(line(&json!({"type": "ERROR", "object": Failure::expired(why).status()})));
                    }
                    Next::Event(event) => if let Some(line) = self.tell(&event) {
                        return Some(line);
                    },
                },
                () = sleep_until(self.end) => return None,
                () = sleep_until(bookmark), if bookmark < self.end => {
                    let last = self.end - LAST_BOOKMARK;
                    let next = bookmark + BOOKMARKS;
                    self.bookmark = Some(if bookmark < last { next.min(last) } else { self.end });
                    let object = self.bookmark_object(self.call.api.objects.store().revision());
                    return Some(self.event("BOOKMARK", &object));
                }
            }
        }
    }

    /// What a change means to somebody who sees only a selection.
    fn tell(&mut self, event: &Event) -> Option<Bytes> {
        let shown = |object: &Arc<Value>| self.call.show(object).into_owned();
        let old = event.previous.as_ref().map(shown).filter(|object| self.takes(object));
        let new = event.current.as_ref().map(shown).filter(|object| self.takes(object));
        match (old, new) {
            (None, None) => None,
            (Some(_), Some(new)) => Some(self.event("MODIFIED", &new)),
            (None, Some(new)) => Some(self.event("ADDED", &new)),
            (Some(mut old), None) => {
                // What left the selection is shown as it last was in it.
                old["metadata"]["resourceVersion"] = json!(event.revision.to_string());
                Some(self.event("DELETED", &old))
            }
        }
    }

    fn takes(&self, object: &Value) -> bool {
        let metadata = &object["metadata"];
        let target = &self.call.target;
        target.namespace.as_ref().is_none_or(|namespace| metadata["namespace"] == **namespace)
            && target.name.as_ref().is_none_or(|name| metadata["name"] == **name)
            && self.selection.takes(object)
    }

    fn bookmark_object(&self, revision: u64) -> Value {
        json!({
            "kind": self.call.kind.kind,
            "apiVersion": self.call.kind.api_version(),
            "metadata": {"resourceVersion": revision.to_string()},
        })
    }

    fn event(&mut self, kind: &str, object: &Value) -> Bytes {
        let object = match self.view {
            View::Whole => object.clone(),
            View::Metadata | View::MetadataList => table::partial(object, "v1"),
            View::Table(version) => {
                let metadata = table::metadata_of(object);
                let objects = std::slice::from_ref(object);
                let mut table = table::table(&self.call.kind, version, metadata, objects, self.include);
                if kind == "BOOKMARK" {
                    blank_cells(&mut table);
                }
                if std::mem::replace(&mut self.columns_sent, true) {
                    table["columnDefinitions"] = Value::Null;
                }
                table
            }
        };
        line(&json!({"type": kind, "object": object}))
    }
}

/// A bookmark is about no object.
fn blank_cells(table: &mut Value) {
    if let Some(cells) = table["rows"][0]["cells"].as_array_mut() {
        for (index, cell) in cells.iter_mut().enumerate() {
            *cell = if index == 0 { json!("") } else { Value::Null };
        }
    }
}
