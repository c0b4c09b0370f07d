//! `aqpipe report` and `aqpipe capture`: finished output, read back and summed up.

mod args;
mod capture;
mod capture_text;
mod command;
mod csv_file;
mod dialect;
mod inputs;
mod marks;
mod output;
mod package;
mod pipelines;
mod read;
mod read_source;
mod topic;
mod topic_options;

pub(crate) use args::{CaptureArgs, ReportArgs};
pub(crate) use capture::capture;
pub(crate) use command::report;
