//! The transform `derive`: features of the clock and the calendar.

mod calendar;
mod config;
mod deriver;
mod feature;
#[cfg(test)]
mod tests;
