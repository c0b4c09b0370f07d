//! The transform `hampel`: one that holds rows back, keeps state by key, and flags values.

mod config;
mod filter;
mod limits;

pub use config::Hampel;
