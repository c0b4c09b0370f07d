//! Reports of input of any size: memory and the page are bounded, and the figures are right.

use std::sync::Arc;

use aqpipe_console::report::{Aggregator, DataReport, MadeBy, Origin, Report, Settings, Tested, WrittenBy, html};
use aqpipe_engine::arrow_array::StringArray;
use aqpipe_engine::record::{Batch, BatchParts, CellQuality, Column, Field, Fields, Flag, Numbers, Provenance};

/// The size that a page must not exceed.
const PAGE_BYTES_MAX: usize = 1_000_000;
const HOUR_MICROS: i64 = 3_600_000_000;
const START: i64 = 946_684_800_000_000;
const BATCH_ROWS: usize = 10_000;
/// The bit of the test in cells.
const TEST: u8 = 1;

/// Hourly records of stations in turns, each with as many fields: in each field one cell in ten is filled, one in fifty missing, one in a
/// hundred failed.
struct Generator {
    stations: usize,
    fields: Arc<Fields>,
    next: usize,
}

impl Generator {
    fn new(stations: usize, fields: usize) -> Generator {
        Generator::named(stations, fields, "")
    }

    /// The same with names that end so.
    fn named(stations: usize, fields: usize, end: &str) -> Generator {
        let list = (0..fields).map(|field| Field::number(&format!("field {field}{end}"))).collect();
        let fields = Fields { list, key: Some("station".into()), score: None, open: false };
        Generator { stations, fields: Arc::new(fields), next: 0 }
    }

    fn batch(&mut self, rows: usize) -> Batch {
        let numbers: Vec<usize> = (self.next..self.next + rows).collect();
        self.next += rows;
        let keys: Vec<String> = numbers.iter().map(|row| format!("station-{}", row % self.stations)).collect();
        let hour = |row: &usize| (row / self.stations) as i64;
        let column = |field: usize| {
            let cells = numbers.iter().map(|row| cell(row / self.stations + row % self.stations + field));
            let (values, quality): (Vec<Option<f64>>, Vec<u32>) = cells.unzip();
            Column::Number(Numbers { values: values.into(), quality: quality.into() })
        };
        Batch::new(BatchParts {
            fields: Arc::clone(&self.fields),
            time: numbers.iter().map(|row| START + hour(row) * HOUR_MICROS).collect::<Vec<_>>().into(),
            utc_offset: vec![60; rows].into(),
            key: Some(StringArray::from(keys)),
            columns: (0..self.fields.list.len()).map(column).collect(),
            score: None,
            source_offsets: vec![0; rows].into(),
            raw: None,
        })
        .expect("fits")
    }
}

fn cell(number: usize) -> (Option<f64>, u32) {
    let value = (number * 7_919 % 10_007) as f64 / 10.0;
    match number {
        _ if number.is_multiple_of(10) => (Some(value), CellQuality::MISSING.filled(Provenance::Median, 0).0),
        _ if number % 50 == 7 => (None, CellQuality::MISSING.0),
        _ if number % 100 == 3 => (Some(value), CellQuality::OBSERVED.checked(Flag::Fail, TEST).0),
        _ => (Some(value), CellQuality::OBSERVED.checked(Flag::Good, TEST).0),
    }
}

fn report_of(generator: &mut Generator, rows: usize) -> Report {
    let tests: Vec<Arc<str>> = vec!["syntax".into(), "gross_range".into()];
    let mut report = Aggregator::new(Settings::default());
    let origin = Origin { place: "generated".to_owned(), has_marks: true, ..Origin::default() };
    let data = report.data(origin);
    for _ in 0..rows / BATCH_ROWS {
        let batch = generator.batch(BATCH_ROWS);
        report.observe(data, &batch, &tests);
    }
    report.finish("2026-01-01T00:00:00Z".to_owned())
}

fn check_figures(data: &DataReport, rows: usize, fields: usize) {
    let expect = |share: usize| (rows / share * fields) as u64;
    let sum = |count: fn(&aqpipe_console::report::CellCounts) -> u32| -> u64 {
        data.series.iter().map(|series| u64::from(count(&series.cells))).sum()
    };
    assert_eq!(data.records, rows as u64);
    let close =
        |found: u64, expected: u64| assert!(found.abs_diff(expected) <= expected / 100, "{found}, not {expected}");
    close(sum(|cells| cells.filled), expect(10));
    close(sum(|cells| cells.missing), expect(50));
    close(sum(|cells| cells.failed), expect(100));
    let capture = data.capture().expect("a step");
    assert!((capture - 0.87).abs() < 0.005, "{capture}");
    assert_eq!(data.stations[0].step_seconds, Some(3600.0));
}

#[test]
fn a_page_of_many_stations_and_fields_is_bounded_and_says_what_it_leaves_out() {
    let long = "\"<&'\u{202e}".repeat(50);
    let report = report_of(&mut Generator::named(300, 8, &long), 60_000);
    let data = &report.data[0];
    assert_eq!(data.stations.len(), 300);
    assert_eq!(data.series.len(), 2_000, "the bound of series");
    assert!(report.notes.iter().any(|note| note.contains("more than 2000 series")), "{:?}", report.notes);
    assert_eq!(data.series.iter().filter(|series| series.course.is_some()).count(), 64);
    let page = html(&report);
    assert!(page.len() <= PAGE_BYTES_MAX, "{} bytes", page.len());
    for part in ["1940 more series. ", "260 more stations. ", "No room on this page of 1 MB: "] {
        assert!(page.contains(part), "{part}");
    }
}

#[test]
fn what_comes_from_outside_is_text_on_the_page() {
    let evil = "<script>alert(1)</script>\"'\u{202e}&";
    let mut report = Aggregator::new(Settings::default());
    report.note(format!("a note {evil}"));
    let origin = Origin { pipeline: Some(evil.to_owned()), place: evil.to_owned(), ..Origin::default() };
    let data = report.data(origin);
    report.unreadable(data, evil);
    let fields =
        Fields { list: vec![Field::number(evil)], key: Some("k".into()), score: Some("s".into()), open: false };
    for day in 0..3 {
        let batch = Batch::new(BatchParts {
            fields: Arc::new(fields.clone()),
            time: vec![START + day * 24 * HOUR_MICROS].into(),
            utc_offset: vec![0].into(),
            key: Some(vec![evil].into()),
            columns: vec![Column::Number(Numbers {
                values: vec![1.0].into(),
                quality: vec![CellQuality::OBSERVED.checked(Flag::Fail, 0).0].into(),
            })],
            score: Some(vec![0.5].into()),
            source_offsets: vec![0].into(),
            raw: None,
        });
        report.observe(data, &batch.expect("fits"), &[evil.into()]);
    }
    let page = html(&report.finish(evil.to_owned()));
    assert!(!page.contains("<script") && !page.contains('\u{202e}'), "{page}");
    assert!(page.contains("&lt;script&gt;"));
}

#[test]
fn a_report_of_nothing_and_of_one_record_are_pages() {
    let page = html(&Aggregator::new(Settings::default()).finish("2026-01-01T00:00:00Z".to_owned()));
    assert!(page.contains("There are no records."), "{page}");
    let mut report = Aggregator::new(Settings::default());
    let data = report.data(Origin { place: "one".to_owned(), ..Origin::default() });
    report.observe(data, &Generator::new(1, 2).batch(1), &[]);
    let report = report.finish("2026-01-01T00:00:00Z".to_owned());
    assert_eq!(report.data[0].series[0].capture, []);
    assert!(html(&report).contains("the sampling step is not known"));
    assert!(report.notes.iter().any(|note| note.contains("do not say of what quality")), "{:?}", report.notes);
}

#[test]
fn many_pipelines_share_a_page_and_only_readings_that_are_known_to_be_generated_are_called_so() {
    let mut report = Aggregator::new(Settings::default());
    for number in 0..120 {
        let data = report.data(Origin { place: format!("place {number}"), has_marks: true, ..Origin::default() });
        let mut generator = Generator::new(3, 4);
        (0..2).for_each(|_| report.observe(data, &generator.batch(300), &[]));
        let key = aqpipe_engine::testing::BatchBuilder::new().numbers("NO2", [Some(1.0)]).key("station", ["sample"]);
        report.observe(data, &key.build(), &[]);
    }
    let report = report.finish("2026-01-01T00:00:00Z".to_owned());
    assert_eq!((report.data.len(), report.data[0].records, report.data[99].records), (100, 601, 21 * 601));
    // A station may be called `sample`.
    assert!(!report.notes.iter().any(|note| note.contains("generated")), "{:?}", report.notes);
    let page = html(&report);
    assert!(page.len() <= PAGE_BYTES_MAX, "{} bytes", page.len());
    assert!(page.contains("Not shown here: 92 more pipelines."));
}

#[test]
fn readings_that_the_files_say_are_generated_are_called_so_and_limits_of_another_digest_are_doubted() {
    let wrote = |digest: &str, generated| WrittenBy { digest: digest.to_owned(), generated, ..WrittenBy::default() };
    let made_by = MadeBy { file: "p.toml".to_owned(), digest: "0000000b".to_owned(), ..MadeBy::default() };
    let notes = |written_by: Vec<WrittenBy>, made_by: Option<MadeBy>| -> Vec<String> {
        let mut report = Aggregator::new(Settings::default());
        let place = "place".to_owned();
        let data = report.data(Origin { place, has_marks: true, written_by, made_by, ..Origin::default() });
        report.observe(data, &Generator::new(1, 1).batch(10), &[]);
        report.finish("2026-01-01T00:00:00Z".to_owned()).notes
    };
    let made = || Some(made_by.clone());
    assert_eq!(notes(vec![wrote("0000000b", false)], made()), Vec::<String>::new());
    assert_eq!(notes(Vec::new(), made()), Vec::<String>::new(), "the section on what was read says it");
    let generated = notes(vec![wrote("0000000a", true)], None);
    assert!(generated[0].starts_with("place: aqpipe generated readings"), "{generated:?}");
    let doubted = notes(vec![wrote("0000000a", false)], made());
    let begin =
        "place: these records were made by the pipeline with the digest 0000000a; p.toml has the digest 0000000b now.";
    assert!(doubted[0].starts_with(begin), "{doubted:?}");
    let partly = notes(vec![wrote("0000000a", false), wrote("0000000b", false)], made());
    assert!(partly[0].starts_with("place: a part of these records"), "{partly:?}");
}

/// The objections of a test by the text of the heat map: 0 where it looked, a dot where nothing says that it did.
#[test]
fn a_test_that_never_objected_is_told_from_one_that_did_not_look() {
    let tests: Vec<Arc<str>> = vec!["syntax".into(), "gross_range".into()];
    let page = |made_by: Option<MadeBy>| {
        let mut report = Aggregator::new(Settings::default());
        let data = report.data(Origin { place: "p".to_owned(), has_marks: true, made_by, ..Origin::default() });
        let quality = |field: usize, row: usize| match (field, row) {
            (0, 0) => CellQuality::OBSERVED.checked(Flag::Fail, TEST),
            (0 | 1, _) => CellQuality::OBSERVED.checked(Flag::Good, TEST),
            _ => CellQuality::OBSERVED,
        };
        let names = ["failed", "good", "unchecked"];
        let columns = (0..3).map(|field| {
            let values: Vec<Option<f64>> = vec![Some(1.0); 3];
            let quality: Vec<u32> = (0..3).map(|row| quality(field, row).0).collect();
            Column::Number(Numbers { values: values.into(), quality: quality.into() })
        });
        let batch = Batch::new(BatchParts {
            fields: Arc::new(Fields {
                list: names.iter().map(|name| Field::number(name)).collect(),
                ..Fields::default()
            }),
            time: vec![START, START + HOUR_MICROS, START + 2 * HOUR_MICROS].into(),
            utc_offset: vec![0; 3].into(),
            key: None,
            columns: columns.collect(),
            score: None,
            source_offsets: vec![0; 3].into(),
            raw: None,
        });
        report.observe(data, &batch.expect("fits"), &tests);
        let page = html(&report.finish("2026-01-01T00:00:00Z".to_owned()));
        let picture = page.split("<title>Objections of tests</title>").nth(1).expect("the picture");
        picture.split("</svg>").next().expect("its end").to_owned()
    };
    let count = |picture: &str| [">1</text>", ">0</text>", ">·</text>"].map(|text| picture.matches(text).count());
    assert_eq!(count(&page(None)), [1, 1, 1], "the flags tell it");
    let looked = |field: &str| Tested { test: "gross_range".to_owned(), field: field.to_owned() };
    let made_by = MadeBy { tests: vec![looked("failed"), looked("unchecked")], ..MadeBy::default() };
    let picture = page(Some(made_by));
    assert_eq!(count(&picture), [1, 1, 1]);
    assert!(picture.contains("good, gross_range: not tested"), "the pipeline says it: {picture}");
}

/// Ten million records are gathered in the memory that a hundredth of them takes, but for what is bounded.
#[test]
#[ignore = "takes minutes without optimisation"]
fn ten_million_records_take_bounded_memory_and_a_page() {
    let resident = || memory_stats::memory_stats().expect("a process has memory").physical_mem;
    let (rows, fields) = (10_000_000, 3);
    let before = resident();
    let report = report_of(&mut Generator::new(50, fields), rows);
    let grown = resident().saturating_sub(before);
    assert!(grown < 256 << 20, "{} MB", grown >> 20);
    check_figures(&report.data[0], rows, fields);
    let page = html(&report);
    assert!(page.len() <= PAGE_BYTES_MAX, "{} bytes", page.len());
    assert!(json_bytes(&report) < 20_000_000);
}

fn json_bytes(report: &Report) -> usize {
    serde_json::to_string(report).expect("JSON").len()
}

#[test]
fn figures_of_generated_records_are_those_that_were_generated() {
    let (rows, fields) = (100_000, 2);
    let report = report_of(&mut Generator::new(5, fields), rows);
    check_figures(&report.data[0], rows, fields);
    assert!(json_bytes(&report) < 2_000_000);
    assert!(html(&report).len() <= PAGE_BYTES_MAX);
}
