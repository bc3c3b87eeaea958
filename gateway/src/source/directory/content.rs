//! What the files of a folder say, compared with what they said before.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::is_empty;
use super::manifest::{self, Entry, Thing};
use crate::objects::{Kind, Object, ObjectKey};
use crate::source::{Change, Fault, Listing, Scope, Unreadable};

/// Larger files are refused.
const LARGEST_FILE: u64 = 64 << 20;
/// How deep folders are followed.
const DEEPEST: usize = 16;

/// The folder as it was last seen.
pub(super) struct Content {
    root: PathBuf,
    files: BTreeMap<PathBuf, File>,
    known: HashMap<ObjectKey, Known>,
    version: u64,
    listed: BTreeMap<Kind, BTreeMap<ObjectKey, u64>>,
    faults: Vec<Fault>,
    started: bool,
}

/// One file.
struct File {
    text: String,
    /// Its last good content.
    entries: Vec<Entry>,
    /// What is wrong with its present text.
    fault: Option<Fault>,
}

/// One object's made-up history.
struct Known {
    value: Arc<Value>,
    version: u64,
    generation: i64,
}

impl Content {
    pub(super) fn new(root: PathBuf) -> Content {
        Content {
            root,
            files: BTreeMap::new(),
            known: HashMap::new(),
            version: 0,
            listed: BTreeMap::new(),
            faults: Vec::new(),
            started: false,
        }
    }

    /// Reads everything and says what changed. All kinds are listed the first time.
    pub(super) fn look(&mut self) -> Vec<Change> {
        let mut faults = Vec::new();
        let mut paths = Vec::new();
        match find(&self.root, 0, &mut paths) {
            Ok(()) => self.read(&paths, &mut faults),
            Err(error) => faults.push(Fault {
                place: self.root.display().to_string(),
                field: String::new(),
                message: format!("can't be read: {error}"),
                effect: "the last content of the folder still serves".to_owned(),
            }),
        }
        let listed = Change::Listed(self.listings(&mut faults));
        faults.sort();
        faults.dedup();
        let mut changes = Vec::new();
        if faults != self.faults {
            self.faults.clone_from(&faults);
            changes.push(Change::Faults(faults));
        }
        if !is_empty(&listed) {
            changes.push(listed);
        }
        self.started = true;
        changes
    }

    fn read(&mut self, paths: &[PathBuf], faults: &mut Vec<Fault>) {
        let present: HashSet<&PathBuf> = paths.iter().collect();
        self.files.retain(|path, _| present.contains(path));
        for path in paths {
            let shown = self.shown(path);
            match text(path) {
                Ok(text) if self.files.get(path).is_some_and(|file| file.text == text) => {}
                Ok(text) => {
                    let old = self.files.remove(path).map(|file| file.entries);
                    self.files.insert(path.clone(), File::read(text, old, &shown));
                }
                // It was there when the folder was listed: someone is at work on it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    faults.push(file_fault(&shown, 0, &error.to_string(), self.files.contains_key(path)));
                }
            }
        }
        faults.extend(self.files.values().filter_map(|file| file.fault.clone()));
    }

    /// Listings of the kinds in which something changed.
    fn listings(&mut self, faults: &mut Vec<Fault>) -> Vec<Listing> {
        let mut listings: BTreeMap<Kind, Listing> = Kind::ALL
            .iter()
            .map(|kind| {
                let scope = Scope::everywhere(*kind);
                (*kind, Listing { scope, objects: Vec::new(), unreadable: Vec::new() })
            })
            .collect();
        let mut places: HashMap<ObjectKey, String> = HashMap::new();
        let mut files = std::mem::take(&mut self.files);
        for (path, file) in &mut files {
            let shown = self.shown(path);
            for entry in &mut file.entries {
                self.take(entry, &format!("{shown}:{}", entry.line), &mut places, &mut listings, faults);
            }
        }
        self.files = files;
        self.known.retain(|key, _| places.contains_key(key));
        let mut changed = Vec::new();
        for (kind, listing) in listings {
            let versions = self.versions(kind);
            if !self.started || self.listed.get(&kind) != Some(&versions) {
                self.listed.insert(kind, versions);
                changed.push(listing);
            }
        }
        changed
    }

    fn take(
        &mut self,
        entry: &mut Entry,
        place: &str,
        places: &mut HashMap<ObjectKey, String>,
        listings: &mut BTreeMap<Kind, Listing>,
        faults: &mut Vec<Fault>,
    ) {
        let fault = |place: String, field: String, message: String, effect: &str| Fault {
            place,
            field,
            message,
            effect: effect.to_owned(),
        };
        let (key, value) = match &entry.thing {
            Thing::Refused(message) => {
                faults.push(fault(place.to_owned(), String::new(), message.clone(), "it is left out"));
                return;
            }
            Thing::Object { key, value, unknown, .. } => {
                for field in unknown {
                    let message = format!("unknown field ({place})");
                    faults.push(fault(key.to_string(), field.clone(), message, "the field is ignored"));
                }
                (key, value)
            }
            Thing::Unreadable { key, value, .. } => (key, value),
        };
        if let Some(first) = places.get(key) {
            faults.push(fault(
                place.to_owned(),
                String::new(),
                format!("{key} is already in {first}"),
                "it is left out",
            ));
            return;
        }
        places.insert(key.clone(), place.to_owned());
        let (version, generation) = self.version_of(key, value);
        let Some(listing) = listings.get_mut(&key.kind) else { return };
        match &mut entry.thing {
            Thing::Object { object, .. } => {
                stamp(object, version, generation);
                // Everybody who has it shares it.
                listing.objects.push(object.clone());
            }
            Thing::Unreadable { key, error, meta, .. } => {
                let mut meta = meta.clone();
                meta.resource_version = Some(version.to_string());
                meta.generation = Some(generation);
                listing.unreadable.push(Unreadable { key: key.clone(), meta, error: error.clone() });
            }
            Thing::Refused(_) => {}
        }
    }

    /// The made-up version of an object: a new one when its content is new.
    fn version_of(&mut self, key: &ObjectKey, value: &Arc<Value>) -> (u64, i64) {
        match self.known.get_mut(key) {
            Some(known) if known.value == *value => known.value = Arc::clone(value),
            Some(known) => {
                self.version += 1;
                let (version, generation) = (self.version, known.generation + 1);
                *known = Known { value: Arc::clone(value), version, generation };
            }
            None => {
                self.version += 1;
                self.known.insert(
                    key.clone(),
                    Known { value: Arc::clone(value), version: self.version, generation: 1 },
                );
            }
        }
        self.known.get(key).map_or((0, 0), |known| (known.version, known.generation))
    }

    fn versions(&self, kind: Kind) -> BTreeMap<ObjectKey, u64> {
        let of_kind = self.known.iter().filter(|(key, _)| key.kind == kind);
        of_kind.map(|(key, known)| (key.clone(), known.version)).collect()
    }

    fn shown(&self, path: &Path) -> String {
        match path.strip_prefix(&self.root) {
            Ok(below) if !below.as_os_str().is_empty() => below.display().to_string(),
            _ => path.display().to_string(),
        }
    }
}

impl File {
    fn read(text: String, old: Option<Vec<Entry>>, shown: &str) -> File {
        match manifest::entries(&text) {
            Ok(entries) => File { text, entries, fault: None },
            Err(error) => {
                let fault = Some(file_fault(shown, error.line, &error.message, old.is_some()));
                File { text, entries: old.unwrap_or_default(), fault }
            }
        }
    }
}

fn file_fault(shown: &str, line: u64, message: &str, has_old: bool) -> Fault {
    let place = if line == 0 { shown.to_owned() } else { format!("{shown}:{line}") };
    let effect =
        if has_old { "the last good content of the file still serves" } else { "the file is left out" };
    Fault { place, field: String::new(), message: message.to_owned(), effect: effect.to_owned() }
}

fn stamp(object: &mut Object, version: u64, generation: i64) {
    let version = Some(version.to_string());
    if object.meta().resource_version == version && object.meta().generation == Some(generation) {
        return;
    }
    object.change_meta(|meta| {
        meta.resource_version = version;
        meta.generation = Some(generation);
    });
}

/// Files with objects, in the order of their names. Hidden ones and editors' copies are not read. Instead of a folder it
/// may be one file.
fn find(folder: &Path, depth: usize, out: &mut Vec<PathBuf>) -> io::Result<()> {
    if folder.is_file() {
        out.push(folder.to_owned());
        return Ok(());
    }
    let mut names: Vec<_> = fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    names.sort_by_key(fs::DirEntry::file_name);
    for entry in names {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || name.starts_with('#') || name.ends_with('~') {
            continue;
        }
        let path = entry.path();
        // Links are followed: that is how mounted ConfigMaps look.
        let Ok(meta) = fs::metadata(&path) else { continue };
        if meta.is_dir() {
            if depth < DEEPEST {
                find(&path, depth + 1, out)?;
            }
        } else if [".yaml", ".yml", ".json"].iter().any(|end| name.ends_with(end)) {
            out.push(path);
        }
    }
    Ok(())
}

fn text(path: &Path) -> io::Result<String> {
    let size = fs::metadata(path)?.len();
    if size > LARGEST_FILE {
        let message = format!("{size} bytes are more than the {LARGEST_FILE} that are read; split the file");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    fs::read_to_string(path)
}
