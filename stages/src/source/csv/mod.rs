//! The source `csv`: records from CSV files.

mod check;
mod column_plan;
mod config;
mod dead_letter_decoder;
mod dialect;
mod header;
mod input_files;
mod key_parts_finder;
mod line_index;
mod match_files;
mod message_decoder;
mod packed_files;
mod prefix_checksum;
mod progress;
mod raw_schema;
mod records;
mod resume;
mod row_decoder;
mod sample;
mod snapshot;
mod source;
mod split;
mod stage;
#[cfg(test)]
mod tests;
mod torn_line;

pub(crate) use message_decoder::{CsvMessageDecoder, CsvMessageOptions, CsvMessageTable};
