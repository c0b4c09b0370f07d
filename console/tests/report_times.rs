//! The time axis of reports: what is expected, captured and missing goes by instants and by the step of each station, whatever the order
//! of records.

use std::collections::BTreeMap;
use std::sync::Arc;

use aqpipe_console::report::{Aggregator, DataReport, Day, Origin, Report, SeriesReport, Settings, html};
use aqpipe_engine::arrow_array::StringArray;
use aqpipe_engine::record::{Batch, BatchParts, CellQuality, Column, Field, Fields, Flag, Numbers, Provenance};
use jiff::Timestamp;
use jiff::civil::date;
use jiff::tz::TimeZone;
use serde_json::Value;

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
/// 2024-01-01, UTC.
const START: i64 = 1_704_067_200 * SECOND;
const BATCH_ROWS: usize = 700;

type Cell = (Option<f64>, CellQuality);

/// A record: when, minutes east of UTC, the station, the cells of `a` and `b`.
#[derive(Clone, Copy, Debug)]
struct Record(i64, i16, &'static str, [Cell; 2]);

const GOOD: Cell = (Some(1.0), CellQuality::OBSERVED);
const MISSING: Cell = (None, CellQuality::MISSING);

/// A cell of each kind, by a number.
fn cell(number: i64) -> Cell {
    let value = Some((number * 7_919 % 101) as f64);
    match number * 7_919 % 23 {
        0 => MISSING,
        1 => (value, CellQuality::MISSING.filled(Provenance::Median, 0)),
        2 => (value, CellQuality::OBSERVED.checked(Flag::Fail, 1)),
        3 => (None, CellQuality::UNREADABLE),
        4 => (None, CellQuality::OBSERVED.checked(Flag::Fail, 1)),
        5 => (value, CellQuality::OBSERVED.checked(Flag::Suspect, 1)),
        _ => (value, CellQuality::OBSERVED.checked(Flag::Good, 1)),
    }
}

fn report_with(settings: Settings, records: &[Record]) -> Report {
    let fields = Fields {
        list: vec![Field::number("a"), Field::number("b")],
        key: Some("station".into()),
        score: Some("score".into()),
        open: false,
    };
    let fields = Arc::new(fields);
    let mut report = Aggregator::new(settings);
    let data = report.data(Origin { place: "place".to_owned(), has_marks: true, ..Origin::default() });
    for rows in records.chunks(BATCH_ROWS) {
        let column = |field: usize| {
            let (values, quality): (Vec<Option<f64>>, Vec<u32>) =
                rows.iter().map(|row| (row.3[field].0, row.3[field].1.0)).unzip();
            Column::Number(Numbers { values: values.into(), quality: quality.into() })
        };
        let batch = Batch::new(BatchParts {
            fields: Arc::clone(&fields),
            time: rows.iter().map(|row| row.0).collect::<Vec<_>>().into(),
            utc_offset: rows.iter().map(|row| row.1).collect::<Vec<_>>().into(),
            key: Some(rows.iter().map(|row| Some(row.2)).collect::<StringArray>()),
            columns: vec![column(0), column(1)],
            score: Some(rows.iter().map(|row| (noise(row.0 / MINUTE) % 10) as f64 / 10.0).collect::<Vec<_>>().into()),
            source_offsets: vec![0; rows.len()].into(),
            raw: None,
        });
        report.observe(data, &batch.expect("fits"), &["syntax".into(), "gross_range".into()]);
    }
    let report = report.finish("2026-01-01T00:00:00Z".to_owned());
    check(&report.data[0]);
    assert!(html(&report).len() <= 1_000_000);
    report
}

fn report(records: &[Record]) -> Report {
    report_with(Settings::default(), records)
}

/// What holds for every report.
fn check(data: &DataReport) {
    for series in &data.series {
        for one in &series.capture {
            assert!(u64::from(one.cells.valid()) <= one.expected, "{one:?}");
            assert!(one.cells.cells() <= one.expected, "{one:?}");
        }
        let Some(whole) = series.capture.first() else { continue };
        for kind in ["year", "season", "month"] {
            let of_kind: Vec<_> = series.capture.iter().filter(|one| one.period.kind() == kind).collect();
            assert_eq!(of_kind.iter().map(|one| one.expected).sum::<u64>(), whole.expected, "{kind}");
            assert_eq!(of_kind.iter().map(|one| one.cells.valid()).sum::<u32>(), whole.cells.valid(), "{kind}");
        }
        let missed = whole.expected - u64::from(whole.cells.valid());
        let listed: u64 = series.longest_gaps.iter().map(|gap| gap.readings).sum();
        assert!(listed <= missed && (series.gaps > 20 || listed == missed), "{listed} of {missed}");
        assert_eq!(series.gaps > 0, missed > 0);
    }
    let expected: u64 = data.series.iter().filter_map(|series| series.capture.first()).map(|one| one.expected).sum();
    assert_eq!(data.days.values().map(|day| day.expected).sum::<u64>(), expected, "days");
}

fn series<'a>(report: &'a Report, station: &str) -> &'a SeriesReport {
    let all = &report.data[0].series;
    all.iter().find(|one| one.station.as_deref() == Some(station) && one.field == "a").expect("a series")
}

/// What is expected and what is valid, by period.
fn captures(report: &Report, station: &str) -> BTreeMap<String, (u64, u32)> {
    let all = series(report, station).capture.iter();
    all.map(|one| (one.period.to_string(), (one.expected, one.cells.valid()))).collect()
}

fn step(report: &Report, station: &str) -> (Option<f64>, Option<f64>) {
    let all = &report.data[0].stations;
    let found = all.iter().find(|one| one.station.as_deref() == Some(station)).expect("a station");
    (found.step_seconds, found.jitter_seconds)
}

fn good(instant: i64, offset: i16, station: &'static str) -> Record {
    Record(instant, offset, station, [GOOD; 2])
}

/// Every hour of a year by the clock of a zone.
fn hourly(zone: &str, station: &'static str, year: i16) -> Vec<Record> {
    let clock = TimeZone::get(zone).expect("a zone");
    let start_of = |year| date(year, 1, 1).in_tz(zone).expect("a time").timestamp().as_second();
    let times = (start_of(year)..start_of(year + 1)).step_by(3_600);
    let offset = |second| clock.to_offset(Timestamp::from_second(second).expect("a time")).seconds() / 60;
    times.map(|second| good(second * SECOND, offset(second) as i16, station)).collect()
}

#[test]
fn a_year_with_summer_time_is_complete_by_its_instants() {
    // Clocks change at night, at midnight (there is no first hour on a day of Beirut and of Santiago), and by half an hour.
    for zone in ["Europe/Rome", "Asia/Beirut", "America/Santiago", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"] {
        let report = report(&hourly(zone, "s", 2024));
        let found = captures(&report, "s");
        assert!(found.values().all(|(expected, valid)| u64::from(*valid) == *expected), "{zone}: {found:?}");
        assert_eq!((series(&report, "s").gaps, &*report.notes), (0, &[][..]), "{zone}");
        assert_eq!((found["whole"].0, found.keys().filter(|name| name.len() == 7).count()), (8_784, 12), "{zone}");
        if zone == "Europe/Rome" {
            assert_eq!((found["2024-03"].0, found["2024-10"].0, found["2024-11"].0), (743, 745, 720));
        }
        assert_eq!(report.data[0].stations[0].repeated, 0);
    }
}

#[test]
fn what_is_missed_about_a_switch_is_of_the_local_month() {
    let mut records = hourly("Europe/Rome", "s", 2024);
    let lost = records.iter().position(|record| record.0 >= START + 90 * 24 * HOUR).expect("the end of March");
    records.drain(lost - 5..lost + 5);
    let report = report(&records);
    let found = captures(&report, "s");
    assert_eq!((found["2024-03"].0, found["2024-04"].0), (743, 720));
    assert_eq!(series(&report, "s").longest_gaps[0].readings, 10);
    assert_eq!(found["whole"], (8_784, 8_774));
}

#[test]
fn stations_of_many_zones_are_complete_at_the_same_instants() {
    let stations = [("rome", 60), ("delhi", 330), ("la", -480), ("kiritimati", 840), ("eucla", 525)];
    let records: Vec<Record> =
        (0..2_400).flat_map(|hour| stations.map(|(name, offset)| good(START + hour * HOUR, offset, name))).collect();
    let report = report(&records);
    for (name, _) in stations {
        let found = captures(&report, name);
        assert_eq!(found["whole"], (2_400, 2_400), "{name}");
        assert!(found.values().all(|(expected, valid)| u64::from(*valid) == *expected), "{name}: {found:?}");
        assert_eq!(found.contains_key("2023-12"), name == "la");
        assert_eq!(series(&report, name).gaps, 0);
    }
    assert_eq!(report.data[0].capture(), Some(1.0));
    // Days that are asked for are those of each station's clock.
    let settings =
        Settings { from: Some(Day::of(date(2024, 2, 1))), to: Some(Day::of(date(2024, 2, 29))), step_seconds: None };
    let report = report_with(settings, &records);
    for (name, _) in stations {
        let found = captures(&report, name);
        assert_eq!((found["whole"], found["2024-02"]), ((696, 696), (696, 696)), "{name}");
        assert!(series(&report, name).capture.iter().all(|one| one.period.kind() != "month" || !one.partial), "{name}");
    }
}

#[test]
fn a_clock_that_is_changed_once_changes_no_step_and_a_naive_one_has_an_hour_twice() {
    let changed: Vec<Record> =
        (0..1_000).map(|hour| good(START + hour * HOUR, if hour < 500 { 0 } else { 120 }, "s")).collect();
    let found = report(&changed);
    assert_eq!((captures(&found, "s")["whole"], series(&found, "s").gaps), ((1_000, 1_000), 0));
    // Written by a local clock that says no offset: 02:00 comes twice in autumn, and nobody can tell the two apart.
    let mut naive = hourly("Europe/Rome", "s", 2024);
    naive.iter_mut().for_each(|record| *record = good(record.0 + i64::from(record.1) * MINUTE, 0, "s"));
    let found = report(&naive);
    assert_eq!((captures(&found, "s")["2024-03"], captures(&found, "s")["2024-10"]), ((744, 743), (744, 744)));
    let doubled: u64 = found.data[0].series.iter().map(|series| series.doubled).sum();
    assert_eq!((doubled, series(&found, "s").gaps), (2, 1));
    let note = "place: 2 readings stand at a time that another one of the same station and field has. Each time is counted once.";
    assert_eq!(found.notes, [note]);
}

#[test]
fn every_station_has_its_own_step_and_none_has_another_month() {
    let month = 31 * 24 * HOUR;
    let each = |step: i64, name| (0..month / step).map(move |at| good(START + at * step, 0, name));
    let mut records: Vec<Record> =
        each(HOUR, "h").chain(each(10 * MINUTE, "ten")).chain(each(3 * HOUR, "three")).collect();
    records.push(good(START + 24 * HOUR, 0, "one"));
    let report = report(&records);
    for (name, readings, seconds) in [("h", 744, 3_600.0), ("ten", 4_464, 600.0), ("three", 248, 10_800.0)] {
        let found = captures(&report, name);
        assert_eq!((found["whole"], found["2024-01"]), ((readings, readings as u32), (readings, readings as u32)));
        assert_eq!((found.contains_key("2024-02"), series(&report, name).gaps), (false, 0), "{name}");
        assert_eq!(step(&report, name), (Some(seconds), Some(0.0)));
        let january = series(&report, name).capture.iter().find(|one| one.period.to_string() == "2024-01");
        assert!(january.is_some_and(|one| !one.partial));
    }
    // One reading says no step: that of most others, the shortest of several.
    assert_eq!((step(&report, "one"), captures(&report, "one")["whole"]), ((None, None), (4_464, 1)));
}

#[test]
fn stations_that_begin_and_end_at_other_times_miss_what_the_others_have() {
    let mut records: Vec<Record> = (0..100).map(|hour| good(START + hour * HOUR, 0, "long")).collect();
    records.extend((20..60).map(|hour| good(START + hour * HOUR + 20 * MINUTE, 0, "short")));
    let report = report(&records);
    assert_eq!(captures(&report, "short")["whole"], (99, 40), "its next reading would be behind the end");
    let gaps = &series(&report, "short").longest_gaps;
    let ends: Vec<_> =
        gaps.iter().map(|gap| (gap.from.is_some(), gap.to.is_some(), gap.readings, gap.seconds)).collect();
    assert_eq!(ends, [(true, false, 39, 39 * 3_600 + 40 * 60), (false, true, 20, 20 * 3_600 + 20 * 60)]);
    let page = html(&report);
    assert!(page.contains("–, the beginning") && page.contains("–, the end"), "{page}");
}

/// Numbers below one that look like random ones.
fn noise(at: i64) -> i64 {
    at * 7_919 % 10_007
}

#[test]
fn times_that_jitter_miss_nothing_and_are_told() {
    for (step_of, jitter, told) in
        [(HOUR, 600 * SECOND, true), (5 * MINUTE, 20 * SECOND, true), (HOUR, 30 * SECOND, false)]
    {
        let time = |at: i64| START + at * step_of + (noise(at * at) - 5_003) * jitter / 5_003;
        let all: Vec<Record> = (0..9_000).map(|at| good(time(at), 0, "s")).collect();
        let found = report(&all);
        assert_eq!(step(&found, "s").0, Some((step_of / SECOND) as f64));
        assert_eq!((captures(&found, "s")["whole"], series(&found, "s").gaps), ((9_000, 9_000), 0));
        assert_eq!(
            found.notes.iter().any(|note| note.contains("the times of the readings vary")),
            told,
            "{:?}",
            found.notes
        );
        let some: Vec<Record> = (0..9_000).filter(|at| at % 9 != 4).map(|at| good(time(at), 0, "s")).collect();
        let found = report(&some);
        assert_eq!((captures(&found, "s")["whole"], series(&found, "s").gaps), ((9_000, 8_000), 1_000));
    }
}

/// A report without what may depend on the order of records, its numbers to nine digits.
fn comparable(report: &Report) -> Value {
    fn round(value: &mut Value) {
        match value {
            Value::Number(number) => {
                if let Some(float) = number.as_f64().filter(|_| number.is_f64()) {
                    *value = format!("{float:.9e}").into();
                }
            }
            Value::Array(list) => list.iter_mut().for_each(round),
            Value::Object(map) => map.values_mut().for_each(round),
            _ => {}
        }
    }
    let mut json = serde_json::to_value(report).expect("JSON");
    for data in json["data"].as_array_mut().into_iter().flatten() {
        for station in data["stations"].as_array_mut().into_iter().flatten() {
            station["late"] = 0.into();
        }
        for list in ["stations", "series"] {
            let list = data[list].as_array_mut().expect("a list");
            list.sort_by_key(|one| (one["station"].to_string(), one["field"].to_string()));
        }
    }
    round(&mut json);
    json
}

/// Two stations in two zones, with cells of all kinds and records that are lost.
fn mixed() -> Vec<Record> {
    let mut records = Vec::new();
    for at in 0..5_000 {
        for (name, offset, step) in [("x", 60, HOUR), ("y", -210, 20 * MINUTE)] {
            let offset = if at < 2_000 { offset } else { offset + 60 };
            if noise(at + step) % 17 != 3 && !(700..750).contains(&at) {
                records.push(Record(START + at * step, offset, name, [cell(at), cell(3 * at + 1)]));
            }
        }
    }
    records
}

#[test]
fn the_order_of_records_changes_nothing() {
    let sorted = mixed();
    let expected = comparable(&report(&sorted));
    let reversed: Vec<Record> = sorted.iter().rev().copied().collect();
    let mut shuffled = sorted.clone();
    shuffled.sort_by_key(|record| noise(record.0 / MINUTE * 31 + i64::from(record.1)));
    let mut by_station = sorted.clone();
    by_station.sort_by_key(|record| (record.2, record.0));
    assert_ne!(sorted[0].0, shuffled[0].0);
    for other in [reversed, shuffled, by_station] {
        let found = comparable(&report(&other));
        if found != expected {
            let differs = |name: &str| expected["data"][0][name] != found["data"][0][name];
            let names: Vec<&String> =
                expected["data"][0].as_object().expect("data").keys().filter(|name| differs(name)).collect();
            panic!("{names:?} differ: {:?} {:?}", expected["notes"], found["notes"]);
        }
    }
}

#[test]
fn records_that_come_twice_are_counted_once_and_told() {
    let once = mixed();
    let mut twice: Vec<Record> = once.iter().flat_map(|record| [*record, *record]).collect();
    let mut expected = comparable(&report(&once));
    for order in [false, true] {
        if order {
            twice.sort_by_key(|record| noise(record.0 / MINUTE));
        }
        let found = report(&twice);
        let doubled: u64 = found.data[0].series.iter().map(|series| series.doubled).sum();
        let readings: u64 =
            found.data[0].series.iter().map(|one| one.cells.cells() - u64::from(one.cells.missing)).sum();
        assert_eq!(doubled, readings);
        assert!(found.notes[0].starts_with(&format!("place: {doubled} readings stand at a time")), "{:?}", found.notes);
        assert_eq!(found.data[0].records, 2 * once.len() as u64);
        assert_eq!(found.data[0].stations.iter().map(|station| station.repeated).sum::<u64>(), once.len() as u64);
        let mut found = comparable(&found);
        for json in [&mut expected, &mut found] {
            json["notes"] = Value::Null;
            json["data"][0]["records"] = Value::Null;
            json["data"][0]["score"] = Value::Null;
            let of = |json: &mut Value, list: &str, what: &[&str]| {
                for one in json["data"][0][list].as_array_mut().into_iter().flatten() {
                    what.iter().for_each(|name| one[*name] = Value::Null);
                }
            };
            of(json, "stations", &["records", "repeated"]);
            of(json, "series", &["doubled"]);
        }
        assert_eq!(found, expected);
    }
}

#[test]
fn records_of_one_time_that_have_a_field_each_double_nothing() {
    let records: Vec<Record> = (0..500)
        .flat_map(|hour| {
            let time = START + hour * HOUR;
            [Record(time, 0, "s", [GOOD, MISSING]), Record(time, 0, "s", [MISSING, GOOD])]
        })
        .collect();
    let report = report(&records);
    assert!(
        report.data[0].series.iter().all(|one| (one.doubled, one.cells.missing, one.cells.observed) == (0, 0, 500))
    );
    assert_eq!((report.data[0].capture(), &*report.notes), (Some(1.0), &[][..]));
    let flags = &report.data[0].series[0].flags;
    assert_eq!(flags.values().sum::<u64>(), 500, "{flags:?}");
}

#[test]
fn a_reading_that_is_valid_counts_before_one_that_failed() {
    let failed: Cell = (Some(9.0), CellQuality::OBSERVED.checked(Flag::Fail, 1));
    let filled: Cell = (Some(2.0), CellQuality::MISSING.filled(Provenance::Median, 0));
    let orders = [[GOOD, failed, filled], [filled, failed, GOOD], [failed, GOOD, filled]];
    for cells in orders {
        let records: Vec<Record> =
            (0..48).flat_map(|hour| cells.map(|cell| Record(START + hour * HOUR, 0, "s", [cell, MISSING]))).collect();
        let report = report(&records);
        let one = series(&report, "s");
        assert_eq!((one.cells.valid(), one.cells.cells(), one.doubled, one.gaps), (48, 48, 96, 0));
        assert_eq!(
            (one.fills.len(), one.flags["fail"], one.distribution.as_ref().map(|found| found.count)),
            (0, 0, Some(48))
        );
    }
}
