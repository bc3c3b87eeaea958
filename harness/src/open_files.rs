//! How many files and connections this process may have open at a time.
//!
//! A usual user may have 1024, which hundreds of clients and the load balancers they come through exceed; nearly
//! always more is allowed to whoever asks.

/// Asks for as many as are allowed; programs that are started from here may have as many too.
#[cfg(unix)]
pub fn allow_many() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // macOS names a limit here that it does not grant; then everything stays as it is.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most.min(65_536), most);
    }
}

/// Other systems have no such limit.
#[cfg(not(unix))]
pub fn allow_many() {}
