//! `aqpipe capture`.

use anyhow::Result;
use aqpipe_console::report::{Capture, DataReport, Report, SeriesReport};
use serde_json::{Value, json};

use super::args::{By, CaptureArgs, CaptureFormat};
use super::capture_text::table;
use super::read::gather;
use crate::exit::Exit;
use crate::printer;

/// The columns of CSV.
const HEADER: [&str; 14] = [
    "pipeline",
    "station",
    "field",
    "kind",
    "period",
    "partial",
    "expected",
    "valid",
    "failed",
    "filled",
    "unreadable",
    "emptied",
    "missing",
    "capture",
];

/// Runs the command.
///
/// # Errors
/// Where something cannot be read.
pub(crate) fn capture(args: &CaptureArgs) -> Result<Exit> {
    let Some(report) = gather(&args.input)? else { return Ok(Exit::Config) };
    match args.format {
        CaptureFormat::Text => table(&report, args.by.unwrap_or(By::Month)).iter().for_each(|line| printer::out(line)),
        CaptureFormat::Csv => csv_lines(&report, args.by)?.lines().for_each(printer::out),
        CaptureFormat::Json => {
            let rows: Vec<Value> = rows(&report, args.by).map(|row| json_row(&row)).collect();
            printer::json(&serde_json::to_string_pretty(&rows)?);
        }
    }
    report.notes.iter().for_each(|note| printer::err(&format!("note: {note}")));
    if report.data.iter().all(|data| data.records == 0) {
        printer::err("warning: there are no records");
    }
    Ok(Exit::Done)
}

type Row<'a> = (&'a DataReport, &'a SeriesReport, &'a Capture);

fn rows(report: &Report, by: Option<By>) -> impl Iterator<Item = Row<'_>> {
    report.data.iter().flat_map(move |data| {
        data.series.iter().flat_map(move |series| {
            let is_asked = move |one: &&Capture| by.is_none_or(|by| one.period.kind() == by.kind());
            series.capture.iter().filter(is_asked).map(move |one| (data, series, one))
        })
    })
}

fn json_row((data, series, one): &Row<'_>) -> Value {
    json!({
        "pipeline": data.origin.title(),
        "station": series.station,
        "field": series.field,
        "kind": one.period.kind(),
        "period": one.period,
        "partial": one.partial,
        "expected": one.expected,
        "valid": one.cells.valid(),
        "cells": one.cells,
        "capture": one.capture,
    })
}

/// A name that no spreadsheet takes for a formula: with an apostrophe before what would begin one (OWASP, CSV injection).
fn inert(name: &str) -> String {
    if name.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) { format!("'{name}") } else { name.to_owned() }
}

fn csv_lines(report: &Report, by: Option<By>) -> Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(HEADER)?;
    for (data, series, one) in rows(report, by) {
        let cells = &one.cells;
        let counts = [cells.valid(), cells.failed, cells.filled, cells.unreadable, cells.emptied, cells.missing];
        let mut record = vec![
            inert(data.origin.title()),
            inert(series.station.as_deref().unwrap_or_default()),
            inert(&series.field),
            one.period.kind().to_owned(),
            one.period.to_string(),
            one.partial.to_string(),
            one.expected.to_string(),
        ];
        record.extend(counts.map(|count| count.to_string()));
        record.push(one.capture.map(|share| format!("{share:.6}")).unwrap_or_default());
        writer.write_record(record)?;
    }
    Ok(String::from_utf8_lossy(&writer.into_inner()?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_begin_no_formula_of_a_spreadsheet_and_stay_as_they_are_otherwise() {
        for begin in ["=", "+", "-", "@", "\t", "\r"] {
            assert_eq!(inert(&format!("{begin}cmd|' /C calc'!A0")), format!("'{begin}cmd|' /C calc'!A0"));
        }
        for harmless in ["", "st-1", "NO2=a", "'=1", "5.0"] {
            assert_eq!(inert(harmless), harmless);
        }
    }
}
