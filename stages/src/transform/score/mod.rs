//! The transform `score`: one number for the quality of a record.

mod config;
mod key_coverage;
mod scorer;
#[cfg(test)]
mod tests;
mod worth;
