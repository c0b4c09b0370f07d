//! Sources: where records come from.

mod bounded;
mod cells;
mod csv;
mod kafka;
mod replay;
mod sample;
mod zone;
