//! Drawing parts used by several panes. Each draws into a rectangle of a buffer and never outside of it, whatever its
//! size.

pub mod bars;
pub mod chart;
pub mod frame;
pub mod table;
pub mod text;
