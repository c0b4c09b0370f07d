//! The command line.

use std::path::PathBuf;

use aqpipe_console::report::{Day, Settings};
use aqpipe_engine::printable;
use clap::{Args, ValueEnum};
use jiff::civil::Date;
use jiff::{Span, SpanRelativeTo};

/// Make a data-quality report of finished output: what was captured, missing, filled and flagged, and how values are distributed.
///
/// The report is one HTML file that opens without a network, of 1 MB at most. Its figures, and those that it has no room for, are in
/// `--format json`.
#[derive(Args, Debug)]
pub(crate) struct ReportArgs {
    #[command(flatten)]
    pub(super) input: InputArgs,
    /// The file to write, in place of one that is there; `-` is standard output. Absent: report.html, and standard output for JSON.
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// The format. Absent: JSON where the file is called so, else HTML.
    #[arg(long, value_name = "FORMAT")]
    pub(super) format: Option<ReportFormat>,
}

/// The formats of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ReportFormat {
    /// A page for people.
    Html,
    /// Everything that was gathered, for programs: docs/report.md.
    Json,
}

/// Print the data capture of finished output: for each station and field the share of the expected readings that are there and valid.
///
/// A fill never counts, nor does a value that failed a test. `*` marks periods of which only a part lies between the first and the
/// last record (or `--from` and `--to`): their share is that of this part.
#[derive(Args, Debug)]
pub(crate) struct CaptureArgs {
    #[command(flatten)]
    pub(super) input: InputArgs,
    /// The periods of the table. CSV and JSON have all of them where this is absent.
    #[arg(long, value_name = "PERIOD")]
    pub(super) by: Option<By>,
    /// The format.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(super) format: CaptureFormat,
}

/// The periods of a capture table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum By {
    /// Months.
    Month,
    /// December to February, March to May, and so on; December counts for the year that follows.
    Season,
    /// Years.
    Year,
}

impl By {
    /// The kind of its periods.
    pub(super) fn kind(self) -> &'static str {
        match self {
            By::Month => "month",
            By::Season => "season",
            By::Year => "year",
        }
    }
}

/// The formats of a capture table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum CaptureFormat {
    /// A table for people.
    Text,
    /// A line for each series and period.
    Csv,
    /// A list of such objects.
    Json,
}

/// What is read.
#[derive(Args, Debug)]
pub(super) struct InputArgs {
    /// Directories with CSV files that aqpipe wrote (those below included), such files, or topics. Absent: where the sinks of
    /// `--pipeline` write.
    #[arg(value_name = "DIR|FILE|TOPIC", required_unless_present = "pipeline")]
    pub(super) inputs: Vec<PathBuf>,
    /// A pipeline that made it, for its thresholds, its digest and its brokers. Can be given several times.
    #[arg(long, value_name = "FILE")]
    pub(super) pipeline: Vec<PathBuf>,
    /// Set an option of the pipelines instead of what their files say.
    #[arg(long = "set", value_name = "[PIPELINE:]PATH=VALUE", requires = "pipeline")]
    pub(super) set: Vec<String>,
    /// The brokers of topics, where no pipeline says them: `host:port`, separated by commas.
    #[arg(long, value_name = "BROKERS")]
    pub(super) brokers: Option<String>,
    /// The name of the station: a column of files without a data package, or a property of messages. Absent: what the pipeline
    /// says, or the key of the message.
    #[arg(long, value_name = "NAME")]
    pub(super) key: Option<String>,
    /// The time from one reading of a station to the next, such as `1h`. Absent: as most records have it.
    #[arg(long, value_name = "DURATION", value_parser = step_seconds)]
    pub(super) step: Option<f64>,
    /// The first day, by the clock of the records: `2024-01-01`. Readings are then expected from its beginning on.
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub(super) from: Option<Date>,
    /// The last day. Readings are then expected until its end.
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub(super) to: Option<Date>,
}

impl InputArgs {
    /// What the report is asked for.
    pub(super) fn settings(&self) -> Settings {
        Settings { step_seconds: self.step, from: self.from.map(Day::of), to: self.to.map(Day::of) }
    }
}

/// Parses a day.
fn date(text: &str) -> Result<Date, String> {
    // The library reads more than a day, and says what is wrong in its own words.
    let is_day = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let day = is_day.then(|| text.parse::<Date>().ok()).flatten();
    day.ok_or_else(|| format!("\"{}\" is no date; write it as 2024-12-31: year, month and day", printable::line(text)))
}

/// Parses a duration.
fn step_seconds(text: &str) -> Result<f64, String> {
    let example = || "a duration is written as `1h`, `15m`, `10s` or `1d`".to_owned();
    let span: Span = text.parse().map_err(|_| example())?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| example())?;
    let seconds = duration.as_secs_f64();
    if seconds > 0.0 { Ok(seconds) } else { Err("the time between readings is more than nothing".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_that_is_none_is_told_of_in_plain_words() {
        for wrong in ["2024-13-01", "2024-02-30", "01.02.2024", "2024", "", "2024-01-01T00:00", "-002024-01"] {
            let text = date(wrong).expect_err(wrong);
            assert_eq!(text, format!("\"{wrong}\" is no date; write it as 2024-12-31: year, month and day"));
        }
        assert!(date("2024-02-29").is_ok());
    }
}
