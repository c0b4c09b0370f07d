//! Sources: where records come from.

mod csv;
mod kafka;
mod replay;
mod sample;
