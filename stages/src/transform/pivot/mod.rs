//! The transform `pivot`: long records to wide ones, by key and time.
//!
//! A [`Pivoter`](pivoter::Pivoter) keeps the [`open_rows`] of each key until they are complete, and makes a batch of those that
//! leave ([`row_writer`]). A record waits as a held row; a row of three records counts two as merged when it leaves.

mod config;
mod departures;
mod given_up;
mod keyed_rows;
mod late_values;
mod open_rows;
mod pivoter;
mod row_writer;
mod settings;
#[cfg(test)]
mod tests;
