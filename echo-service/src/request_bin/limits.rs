//! How much a bin server holds at most. Beyond it the oldest goes, and is counted.

/// Bounds of what is kept.
#[derive(Clone, Copy, Debug, serde::Deserialize, PartialEq, serde::Serialize)]
pub struct Limits {
    /// Bins at a time; the one not written to for longest goes.
    pub bins: usize,
    /// Entries in one bin.
    pub entries: usize,
    /// Of all entries together, with their heads.
    pub bytes: usize,
    /// Of the body of one entry; the rest of a longer one is cut off, and the entry says so.
    pub entry_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bins: 100, entries: 10_000, bytes: 64 << 20, entry_bytes: 1 << 20 }
    }
}
