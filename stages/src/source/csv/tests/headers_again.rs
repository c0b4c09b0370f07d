//! Headers that do not say what the first one says: inside of a file, and in the next one.

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
fn a_header_in_another_order_inside_of_a_file_ends_the_run_at_its_line() {
    for (again, more) in [
        ("timestamp,b,a", json!({ "fields": ["a", "b"] })),
        ("timestamp,b,a", json!({})),
        ("a,b,timestamp", json!({})),
        ("\"timestamp\",\"b\",\"a\"", json!({})),
        ("timestamp,a,c", json!({ "fields": ["a", "b"] })),
    ] {
        let text = format!("timestamp,a,b\n2004-03-10,1,2\ntimestamp,a,b\n2004-03-11,3,4\n{again}\n2004-03-12,5,6\n");
        let files = Files::one(text.as_bytes());
        let mut split = split(files.options("a.csv", more), &BuildContext::for_tests()).expect("opens");
        let before = next(&mut *split, 100).expect("reads what stands before it").expect("rows");
        assert_eq!((before.0.rows(), before.1.len()), (2, 0));
        let error = next(&mut *split, 100).map(drop).expect_err("another header");
        assert!(error.to_string().ends_with("a.csv:5"), "{error}");
        assert!(error.help_text().is_some_and(|help| help.contains("a file of its own")), "{error:?}");
    }
    let words = read(b"timestamp,a,note\nbad,1,timestamp\n2004-03-12,5,a\n", json!({ "text_fields": ["note"] }));
    assert_eq!((words.rows.len(), words.dead.len()), (1, 1), "a row that has a name in it is no header");
}
