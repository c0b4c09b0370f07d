//! Rows of dead letters, decoded again.

use aqpipe_engine::stage::DeadLetterDecoder;
use aqpipe_engine::stage::SourceConfig as _;

use super::*;

fn again(files: &Files, more: Value) -> Box<dyn DeadLetterDecoder> {
    let config = config(files.options("a.csv", more));
    config.dead_letter_decoder(&BuildContext::for_tests()).expect("builds").expect("can")
}

/// What the rows of a file need to be read once more.
fn form(files: &Files, more: Value) -> String {
    let split = split(files.options("a.csv", more), &BuildContext::for_tests()).expect("opens");
    split.raw_schema(&DeadLetter::new(0, "", None)).expect("a form").to_string()
}

fn values(again: &mut dyn DeadLetterDecoder, raw: &str, form: Option<&str>) -> String {
    match again.decode(0, raw.as_bytes(), form).expect("decodes") {
        Ok(batch) => {
            let mut read = Read::default();
            take(&mut read, &batch, Vec::new());
            read.values()[0].to_owned()
        }
        Err(reason) => reason,
    }
}

#[test]
fn a_row_is_read_by_the_header_that_it_had_whatever_the_file_has_now() {
    let files = Files::one(b"timestamp,T,RH\n2004-03-10,1,2\n");
    let kept = form(&files, json!({}));
    std::fs::write(files.path("a.csv"), "timestamp,RH,T\n").expect("writes");
    let mut again = again(&files, json!({ "fields": ["T", "RH"] }));
    assert_eq!(values(&mut *again, "2004-03-10,1,2", Some(&kept)), "T=1 RH=2");
    assert_eq!(values(&mut *again, "2004-03-10,1,2", None), "T=2 RH=1", "nothing was kept: the header of today");
    let foreign = kept.replace("\"version\":1", "\"version\":9");
    assert!(values(&mut *again, "2004-03-10,1,2", Some(&foreign)).contains("another version"));
    assert!(values(&mut *again, "2004-03-10,1,2", Some("what?")).contains("not known"));
}

#[test]
fn a_row_is_read_by_its_own_dialect_first_and_by_that_of_today_where_that_fails() {
    let files = Files::one(b"timestamp;T;RH\n2004-03-10;1,5;2\n");
    let kept = form(&files, json!({ "delimiter": ";", "decimal": "," }));
    std::fs::write(files.path("a.csv"), "timestamp|T|RH\n").expect("writes");
    let mut again = again(&files, json!({ "delimiter": "|", "fields": ["T", "RH"] }));
    assert_eq!(values(&mut *again, "2004-03-10;1,5;2", Some(&kept)), "T=1.5 RH=2");
    assert_eq!(values(&mut *again, "2004-03-10|1.5|2", Some(&kept)), "T=1.5 RH=2", "a mistake that was mended");
    assert!(values(&mut *again, "2004-03-10", Some(&kept)).contains("the row has 1 column"));
}

#[test]
fn a_row_that_kept_its_header_needs_no_file_and_other_options_than_then_may_not_fit_it() {
    let files = Files::one(b"timestamp,T\n2004-03-10,1\n");
    let kept = form(&files, json!({}));
    std::fs::remove_file(files.path("a.csv")).expect("removes");
    let mut without = again(&files, json!({}));
    assert_eq!(values(&mut *without, "2004-03-10,1", Some(&kept)), "T=1");
    let error = without.decode(0, b"2004-03-10,1", None).map(|_| ()).expect_err("no header at all");
    assert!(error.to_string().contains("there is no file"), "{error}");
    let mut other = again(&files, json!({ "fields": ["RH"] }));
    let reason = values(&mut *other, "2004-03-10,1", Some(&kept));
    assert!(reason.contains("its columns do not fit the options of now: there is no column `RH`"), "{reason}");
}

#[test]
fn names_of_columns_that_are_too_long_to_keep_are_known_by_their_checksum() {
    let names: Vec<String> = (0..2_000).map(|number| format!("a_long_name_{number}")).collect();
    let header = format!("timestamp,{}\n", names.join(","));
    let files = Files::one(header.as_bytes());
    let kept = form(&files, json!({}));
    assert!(kept.len() < 200, "{kept}");
    let row = format!("2004-03-10{}", ",1".repeat(2_000));
    let mut same = again(&files, json!({}));
    assert!(values(&mut *same, &row, Some(&kept)).starts_with("a_long_name_0=1"));
    std::fs::write(files.path("a.csv"), header.replace("a_long_name_7,", "another,")).expect("writes");
    let mut other = again(&files, json!({}));
    assert!(values(&mut *other, &row, Some(&kept)).contains("not those of today"));
}
