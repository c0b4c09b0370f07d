//! The transform `unpivot`: wide records to long ones, along time.

mod config;
mod name_pattern;
#[cfg(test)]
mod tests;
mod unpivoter;
