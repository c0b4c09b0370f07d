//! Headers that do not say what the first one says: inside of a file, and in the next one.

use std::io::Write as _;

use aqpipe_engine::record::Position;
use aqpipe_engine::stage::SplitState;

use super::growing::{opened, packed, state};
use super::*;

const FLAGS: &str =
    r#"{"NO2": {"column": 3, "good": ["R"], "fail": ["N"]}, "O3": {"column": 5, "good": ["R"], "fail": ["N"]}}"#;

fn flagged() -> Value {
    json!({ "fields": ["NO2", "O3"], "flags": serde_json::from_str::<Value>(FLAGS).expect("is JSON") })
}

#[test]
fn a_number_of_a_column_means_the_same_column_in_each_file() {
    let first = "timestamp,NO2,status,O3,status\n2004-03-10,1,R,2,N\n";
    let second = |header: &str| format!("{header}\n2004-03-11,3,R,4,R\n");
    for (header, what) in [
        ("timestamp,O3,status,NO2,status", "column 2 is `O3`, and there it is `NO2`"),
        ("timestamp,NO2,O3,status,status", "column 3 is `O3`, and there it is `status`"),
        ("timestamp,NO2,status,status,O3", "column 4 is `status`, and there it is `O3`"),
    ] {
        let files = Files::new(&[("1.csv", first.as_bytes()), ("2.csv", second(header).as_bytes())]);
        let (message, help) = error(&files, "*.csv", flagged());
        assert!(message.contains(what) && message.contains("at 2.csv:1"), "{message}");
        assert!(help.contains("by its name"), "{help}");
    }
    for header in ["timestamp,NO2,status,O3,status", "timestamp,NO2,status,O3,status,more"] {
        let row = if header.ends_with("more") { "2004-03-11,3,R,4,R,\n" } else { "2004-03-11,3,R,4,R\n" };
        let files = Files::new(&[("1.csv", first.as_bytes()), ("2.csv", format!("{header}\n{row}").as_bytes())]);
        let mut split = split(files.options("*.csv", flagged()), &BuildContext::for_tests()).expect("opens");
        assert_eq!(read_all(&mut *split, 10).expect("reads").rows.len(), 2, "{header}");
    }
}

#[test]
fn a_file_without_a_line_is_passed_over_among_others() {
    let full = b"timestamp,a\n2004-03-10,1\n";
    let files =
        Files::new(&[("1.csv", b""), ("2.csv", full), ("3.csv", b"\n\n"), ("4.csv", b"timestamp,a\n"), ("5.csv", b"")]);
    for more in [json!({}), json!({ "fields": ["a"] })] {
        let mut split = split(files.options("*.csv", more), &BuildContext::for_tests()).expect("opens");
        assert_eq!(read_all(&mut *split, 10).expect("reads").values(), ["a=1"]);
    }
    let (message, _) = error(&Files::new(&[("1.csv", b""), ("2.csv", b"")]), "*.csv", json!({ "fields": ["a"] }));
    assert!(message.starts_with("all files of *.csv are empty"), "{message}");
}

#[test]
fn a_file_that_ends_within_a_character_is_cut_off() {
    let text = "\u{feff}timestamp,a\n2004-03-10,1\n";
    let whole: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for cut in [&b"A"[..], &[0x3d, 0xd8], &[0x3d, 0xd8, 0]] {
        let files = Files::one(&[&whole, cut].concat());
        let mut split = split(files.options("a.csv", json!({})), &BuildContext::for_tests()).expect("opens");
        let error = read_all(&mut *split, 1).map(drop).expect_err("it is cut off");
        assert!(error.to_string().contains("ends within a character of UTF-16LE"), "{error}");
        assert!(error.to_string().contains("a.csv:3"), "{error}");
    }
}

#[test]
fn a_header_by_which_nothing_can_be_read_ends_the_run_at_its_line() {
    let fields = json!({ "fields": ["a", "b"] });
    for (again, more, option) in [
        ("timestamp,b,a", json!({}), "with `fields`"),
        ("a,b,timestamp", json!({}), "with `fields`"),
        ("\"timestamp\",\"b\",\"a\"", json!({}), "with `fields`"),
        ("timestamp,a,b,c", json!({}), "with `fields`"),
        ("timestamp,a,c", fields.clone(), "the file's columns are"),
    ] {
        let text = format!("timestamp,a,b\n2004-03-10,1,2\ntimestamp,a,b\n2004-03-11,3,4\n{again}\n2004-03-12,5,6\n");
        let files = Files::one(text.as_bytes());
        let mut split = split(files.options("a.csv", more), &BuildContext::for_tests()).expect("opens");
        let before = next(&mut *split, 100).expect("reads what stands before it").expect("rows");
        assert_eq!((before.0.rows(), before.1.len()), (2, 0));
        let error = next(&mut *split, 100).map(drop).expect_err("another header");
        assert!(error.to_string().ends_with("a.csv:5"), "{error}");
        assert!(error.help_text().is_some_and(|help| help.contains(option)), "{error:?}");
    }
    let words = read(b"timestamp,a,note\nbad,1,timestamp\n2004-03-12,5,a\n", json!({ "text_fields": ["note"] }));
    assert_eq!((words.rows.len(), words.dead.len()), (1, 1), "a row that has a name in it is no header");
    for cut in ["timestamp,a", "timestamp,a,", "2004-03-11,3,timestamp,a,b", "timestamp,a,btimestamp,a,b"] {
        let text = format!("timestamp,a,b\n2004-03-10,1,2\n{cut}\n2004-03-12,5,6\n");
        let read = read(text.as_bytes(), fields.clone());
        assert_eq!((read.rows.len(), read.dead.len()), (2, 1), "{cut}");
    }
}

/// A file whose header changes again and again, and what it says.
const CHANGING: &[&str] = &[
    "timestamp,a,b",
    "2004-03-10,1,2",
    "timestamp,b,a",
    "2004-03-11,4,3",
    "junk,4,3",
    "timestamp,b,a",
    "\u{feff}\"timestamp\",\"note\",a,\"b\"",
    "2004-03-12,x,5,6",
    "2004-03-13,x,7",
    "b,timestamp,a,",
    "8,2004-03-14,7,",
    "timestamp,a,b",
    "2004-03-15,9,10",
];

fn changing() -> (String, Value) {
    (CHANGING.join("\n") + "\n", json!({ "fields": ["a", "b"] }))
}

const VALUES: [&str; 5] = ["a=1 b=2", "a=3 b=4", "a=5 b=6", "a=7 b=8", "a=9 b=10"];

#[test]
fn with_fields_what_follows_a_header_is_read_by_it() {
    let (text, more) = changing();
    let found = read(text.as_bytes(), more.clone());
    assert_eq!(found.values(), VALUES);
    assert_eq!(found.dead.len(), 2, "{:?}", found.reasons());
    let utf16: Vec<u8> = format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(read(&utf16, more).values(), VALUES);
    let units =
        "timestamp,a,b\nUTC,C,%\n2004-03-10,1,2\ntimestamp,b,a\nUTC,%,C\n2004-03-11,4,3\ntimestamp,b,a\nUTC,%,C\n";
    let found = read(units.as_bytes(), json!({ "fields": ["a", "b"], "skip_after_header": 1 }));
    assert_eq!((found.values(), found.dead.len()), (VALUES[..2].to_vec(), 0));
}

#[test]
fn a_row_behind_a_header_that_changed_is_read_again_by_its_own() {
    let (text, more) = changing();
    let files = Files::one(text.as_bytes());
    let mut split = split(files.options("a.csv", more.clone()), &BuildContext::for_tests().with_raw()).expect("opens");
    let found = read_all(&mut *split, 3).expect("reads");
    let decoder = config(files.options("a.csv", more)).dead_letter_decoder(&BuildContext::for_tests());
    let mut decoder = decoder.expect("builds").expect("can");
    for ((offset, raw), expected) in found.raw.iter().zip(VALUES) {
        let form = split.raw_schema(&DeadLetter::new(*offset, "", None)).expect("a form");
        let batch = decoder.decode(*offset, raw, Some(&form)).expect("decodes").expect("is a row");
        let mut again = Read::default();
        take(&mut again, &batch, Vec::new());
        assert_eq!(again.values(), [expected]);
    }
}

#[test]
fn reading_goes_on_anywhere_by_the_header_in_force() {
    let (text, more) = changing();
    for bytes in [text.as_bytes().to_vec(), packed(&text)] {
        let files = Files::one(&bytes);
        let (mut read, mut last) = (Read::default(), None);
        loop {
            let mut split = opened(&files, more.clone(), last.as_ref()).expect("opens");
            let Some((batch, dead)) = next(&mut *split.1, 1).expect("reads") else { break };
            take(&mut read, &batch, dead);
            last = Some(state(&split));
        }
        assert_eq!((read.values(), read.dead.len()), (VALUES.to_vec(), 2));
        // After a checkpoint before the split's position.
        let mut whole = opened(&files, more.clone(), None).expect("opens");
        let offsets: Vec<u64> =
            read_all(&mut *whole.1, 3).expect("reads").rows.iter().map(|row| offset_of(row)).collect();
        for (index, offset) in offsets.into_iter().enumerate() {
            let position = Position { offset, records: 1 };
            let reader = whole.1.snapshot_state(position).expect("saves");
            let earlier = (whole.0.clone(), SplitState { position, reader, ..SplitState::default() });
            let mut split = opened(&files, more.clone(), Some(&earlier)).expect("opens");
            assert_eq!(read_all(&mut *split.1, 10).expect("reads").values(), VALUES[index..], "from {offset}");
        }
    }
}

fn offset_of(row: &str) -> u64 {
    row.split(' ').next().and_then(|offset| offset.parse().ok()).expect("an offset")
}

#[test]
fn what_is_added_is_read_by_the_header_in_force_and_so_is_what_a_run_that_follows_comes_back_to() {
    let append = |files: &Files, name: &str, line: &str| {
        let file = std::fs::File::options().append(true).create(true).open(files.path(name));
        file.and_then(|mut file| writeln!(file, "{line}")).expect("writes");
    };
    for follow in [false, true] {
        let files = Files::one(b"");
        let more = match follow {
            true => json!({ "fields": ["a", "b"], "follow": true }),
            false => json!({ "fields": ["a", "b"], "rerun": "new" }),
        };
        let (mut values, mut last) = (Vec::new(), None);
        let mut split = opened(&files, more.clone(), None).expect("opens");
        for (number, line) in CHANGING.iter().enumerate() {
            append(&files, "a.csv", line);
            append(&files, "b.csv", if number == 0 { "timestamp,b,a" } else { "2004-03-10,0,0" });
            if !follow {
                split = opened(&files, more.clone(), last.as_ref()).expect("opens");
            }
            let mut read = Read::default();
            let until = Instant::now() + Duration::from_secs(10);
            let awaited = if number == 0 { 0 } else { 1 + usize::from(line.contains("2004") || line.contains("junk")) };
            while !follow || read.rows.len() + read.dead.len() < awaited && Instant::now() < until {
                match split.1.next(1, until).expect("reads") {
                    Poll::Rows(batch, dead) => take(&mut read, &batch, dead),
                    Poll::Idle => {}
                    Poll::End => break,
                }
            }
            values.extend(read.values().into_iter().filter(|row| *row != "a=0 b=0").map(str::to_owned));
            last = Some(state(&split));
        }
        assert_eq!(values, VALUES, "follow = {follow}");
    }
}

#[test]
fn a_narrower_header_whose_rows_would_fit_ends_the_run_too() {
    let files = Files::one(b"timestamp,a,b,\n2004-03-10,1,2,\ntimestamp,b,a\n2004-03-12,5,6\n");
    let mut split = split(files.options("a.csv", json!({})), &BuildContext::for_tests()).expect("opens");
    let error = read_all(&mut *split, 1).map(drop).expect_err("another header");
    assert!(error.to_string().ends_with("a.csv:3"), "{error}");
}
