//! wip

pub mod exchanges; pub mod format; pub mod gateway; pub mod history; pub mod latencies; pub mod recording; pub mod sanitize; pub mod source; pub mod tally;
