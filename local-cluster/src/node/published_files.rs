//! Files in a volume that change all at once: a reader sees the old set or the new one, never a mixture, and a
//! watcher of the folder is told. The layout is the one the kubelet makes, which programs that watch
//! configuration know: `NAME -> ..data/NAME`, and `..data` a link that is replaced in one step.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Component, Path};

/// Contents and mode by path below the volume.
pub(super) type Files = BTreeMap<String, (Vec<u8>, u32)>;

const DATA: &str = "..data";

/// Makes the folder show these files; false when it does already.
pub(super) fn publish(folder: &Path, files: &Files) -> io::Result<bool> {
    for path in files.keys() {
        let inside = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
        if !inside || path.is_empty() || path.starts_with("..") {
            let message = format!("path {path:?} leads out of the volume");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
    }
    let data = folder.join(DATA);
    if shows(&data, files) {
        return Ok(false);
    }
    fs::create_dir_all(folder)?;
    let version = format!("..v{}", super::super::kinds::name_suffix(10));
    let fresh = folder.join(&version);
    fs::create_dir(&fresh)?;
    for (path, (bytes, mode)) in files {
        let path = fresh.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        // Who owns the file must be able to read it: the pod runs as this user.
        OpenOptions::new().write(true).create_new(true).mode(mode | 0o400).open(&path)?.write_all(bytes)?;
    }
    let old = fs::read_link(&data).ok();
    let link = folder.join("..data_new");
    let _ = fs::remove_file(&link);
    symlink(&version, &link)?;
    fs::rename(&link, &data)?;
    let tops: Vec<&str> = files.keys().filter_map(|path| path.split('/').next()).collect();
    for top in &tops {
        let shown = folder.join(top);
        if fs::symlink_metadata(&shown).is_err() {
            symlink(Path::new(DATA).join(top), &shown)?;
        }
    }
    for entry in fs::read_dir(folder)?.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !name.starts_with("..") && !tops.contains(&name.as_ref()) {
            fs::remove_file(entry.path())?;
        }
    }
    if let Some(old) = old {
        fs::remove_dir_all(folder.join(old))?;
    }
    Ok(true)
}

/// Whether the folder holds these files and no others.
fn shows(data: &Path, files: &Files) -> bool {
    let mut found = 0;
    let mut folders = vec![data.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { return false };
        for entry in entries.flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else {
                found += 1;
            }
        }
    }
    found == files.len()
        && files.iter().all(|(path, (bytes, _))| fs::read(data.join(path)).is_ok_and(|old| old == *bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(files: &[(&str, &str)]) -> Files {
        files.iter().map(|(path, text)| ((*path).to_owned(), (text.as_bytes().to_vec(), 0o644))).collect()
    }

    #[test]
    fn a_new_set_takes_the_place_of_the_old() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        assert!(publish(folder, &files(&[("a", "1"), ("sub/b", "2")])).unwrap());
        assert_eq!(fs::read_to_string(folder.join("sub/b")).unwrap(), "2");
        assert!(!publish(folder, &files(&[("a", "1"), ("sub/b", "2")])).unwrap(), "nothing new");
        assert!(publish(folder, &files(&[("a", "3")])).unwrap());
        assert_eq!(fs::read_to_string(folder.join("a")).unwrap(), "3");
        assert!(!folder.join("sub").exists());
        let hidden = fs::read_dir(folder).unwrap().flatten().filter(|entry| entry.file_name() != "a").count();
        assert_eq!(hidden, 2, "the link and the set it shows");
    }

    #[test]
    fn a_set_without_files_is_a_set() {
        let folder = tempfile::tempdir().unwrap();
        assert!(publish(folder.path(), &files(&[])).unwrap());
        assert!(!publish(folder.path(), &files(&[])).unwrap());
    }

    #[test]
    fn nothing_is_written_outside() {
        let folder = tempfile::tempdir().unwrap();
        for path in ["../a", "/a", "a/../../b", "", "..data/x"] {
            assert!(publish(&folder.path().join("v"), &files(&[(path, "x")])).is_err(), "{path}");
        }
        assert!(!folder.path().join("v").exists());
    }
}
