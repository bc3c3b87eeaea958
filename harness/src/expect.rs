//! What a scenario may expect, and whether it is so. Everything here judges values that were already fetched;
//! only `eventually` waits.

pub mod check;
pub mod eventually;
pub mod graph;
pub mod metric;
pub mod received;
pub mod response;
pub mod shares;
pub mod trace;

pub use check::Miss;
