//! `aqpipe report`.

use std::path::{Path, PathBuf};

use anyhow::Result;
use aqpipe_console::names::name;
use aqpipe_console::numbers::percent_down;
use aqpipe_console::report::{Report, html};
use aqpipe_engine::plural::counted;

use super::args::{ReportArgs, ReportFormat};
use super::output::write_whole;
use super::read::gather;
use crate::exit::Exit;
use crate::printer;

/// The file of a page that has no other name.
const DEFAULT_FILE: &str = "report.html";
/// Stands for standard output.
const STANDARD_OUTPUT: &str = "-";

/// Runs the command.
///
/// # Errors
/// Where something cannot be read, or the report not be written.
pub(crate) fn report(args: &ReportArgs) -> Result<Exit> {
    let Some(report) = gather(&args.input)? else { return Ok(Exit::Config) };
    let (format, path) = target(args);
    let text = match format {
        ReportFormat::Html => html(&report),
        ReportFormat::Json => serde_json::to_string(&report)? + "\n",
    };
    match (&path, format) {
        (Some(path), _) => write_whole(path, &text)?,
        (None, ReportFormat::Json) => printer::json(text.trim_end()),
        (None, ReportFormat::Html) => printer::page(&text),
    }
    summarise(&report, path.as_deref(), text.len());
    Ok(Exit::Done)
}

/// The format, and the file; `None` for standard output.
fn target(args: &ReportArgs) -> (ReportFormat, Option<PathBuf>) {
    let is_json = |path: &PathBuf| path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    let by_name = || if args.output.as_ref().is_some_and(is_json) { ReportFormat::Json } else { ReportFormat::Html };
    let format = args.format.unwrap_or_else(by_name);
    match (&args.output, format) {
        (Some(path), _) if path == Path::new(STANDARD_OUTPUT) => (format, None),
        (Some(path), _) => (format, Some(path.clone())),
        (None, ReportFormat::Html) => (format, Some(DEFAULT_FILE.into())),
        (None, ReportFormat::Json) => (format, None),
    }
}

fn summarise(report: &Report, path: Option<&Path>, bytes: usize) {
    for data in &report.data {
        let capture = data.capture().map_or(String::new(), |share| format!(", capture {}", percent_down(share)));
        let period = data.period.map_or(String::new(), |(first, last)| format!(", {first} to {last}"));
        let title = name(data.origin.title());
        let records = counted(data.records, "record");
        let stations = counted(data.stations.len() as u64, "station");
        let fields = counted(data.fields.len() as u64, "field");
        printer::err(&format!("{title}: {records}, {stations}, {fields}{period}{capture}"));
        if data.unreadable_records > 0 {
            printer::err(&format!("{title}: {} could not be read", counted(data.unreadable_records, "record")));
        }
    }
    report.notes.iter().for_each(|note| printer::err(&format!("note: {note}")));
    if report.data.iter().all(|data| data.records == 0) {
        printer::err("warning: there are no records: the report is empty");
    }
    if let Some(path) = path {
        printer::err(&format!("{}: {} kB", path.display(), bytes.div_ceil(1000)));
    }
}
