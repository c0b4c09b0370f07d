//! The report as one HTML page, of 1 MB at most.

mod budget;
mod capture_table;
mod days;
mod details;
mod fields;
mod gaps;
mod page;
mod part;
mod ranges;
mod summary;
mod text;

pub use page::html;
