//! The source `csv`: records from CSV files.

mod cell_text;
mod check;
mod check_names;
mod column_plan;
mod config;
mod dead_letter_decoder;
mod dialect;
mod file_form;
mod file_head;
mod file_reading;
mod file_text;
mod follow;
mod growing_split;
mod header_again;
mod input_files;
mod key_parts_finder;
mod known_files;
mod line_counter;
mod line_index;
mod match_files;
mod message_decoder;
mod numbered_flags;
mod open_file;
mod packed_files;
mod packing;
mod prefix_checksum;
mod progress;
mod raw_schema;
mod raw_schemas;
mod records;
mod resume;
mod row_decoder;
mod sample;
mod snapshot;
mod source;
mod split;
mod stage;
mod stored_bytes;
#[cfg(test)]
mod tests;
mod text_columns;
mod torn_line;
mod unpacked;
mod utf16;

pub(crate) use message_decoder::{CsvMessageDecoder, CsvMessageOptions, CsvMessageTable};
