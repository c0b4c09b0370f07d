//! The transform `unpivot`: wide records to long ones, along time.

mod config;
mod day_clock;
mod made_rows;
mod name_pattern;
#[cfg(test)]
mod tests;
mod unpivoter;
