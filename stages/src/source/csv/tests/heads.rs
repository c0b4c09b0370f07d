//! The lines before the records, lines that are none, and files whose headers differ.

use super::*;

/// What four files of a glob yield.
fn of_glob(contents: &[(&str, &[u8])], more: Value) -> Result<Read> {
    let files = Files::new(contents);
    let mut split = split(files.options("*.csv", more), &BuildContext::for_tests())?;
    read_all(&mut *split, 1000)
}

const TOA5: &str = "\"TOA5\",\"mast-2\",\"CR1000\"\r\n\"TIMESTAMP\",\"RECORD\",\"PM25_Avg\"\r\n\"TS\",\"RN\",\"ug/m^3\"\r\n\
                    \"\",\"\",\"Avg\"\r\n\"2022-07-01 00:00:00\",411,8.61\r\n\"2022-07-01 01:00:00\",412,\"NAN\"\r\n";

fn toa5() -> Value {
    json!({ "skip_lines": 1, "skip_after_header": 2, "timestamp": { "column": "TIMESTAMP" }, "fields": ["PM25_Avg"], "missing": ["NAN"] })
}

#[test]
fn lines_before_and_behind_the_header_are_passed_over_and_so_they_are_where_they_come_again() {
    let expected = ["PM25_Avg=8.61", "PM25_Avg=(missing observed(0))"];
    for text in [TOA5.to_owned(), TOA5.replace("\r\n", "\n"), TOA5.replace("\r\n", "\r"), format!("\u{feff}{TOA5}")] {
        let read = read(text.as_bytes(), toa5());
        assert_eq!((read.values(), read.dead.len()), (expected.to_vec(), 0));
    }
    let twice = read(TOA5.repeat(2).as_bytes(), toa5());
    assert_eq!((twice.values(), twice.dead.len()), ([expected, expected].concat(), 0));
    let late = read(format!("{TOA5}bad,1,2\n").as_bytes(), toa5());
    assert_eq!(late.dead[0].place.as_deref(), Some("a.csv:7"), "lines are counted on");
}

#[test]
fn a_title_a_blank_line_and_the_end_of_the_file_may_be_among_the_lines_before_the_header() {
    let options = json!({ "skip_lines": 3 });
    assert_eq!(read(b"Station: \"x\n\n;;\ntimestamp,a\n2004-03-10,1\n", options.clone()).values(), ["a=1"]);
    assert_eq!(
        error(&Files::one(b"one\ntwo"), "a.csv", options).0,
        "a.csv is empty: it has no line that names its columns"
    );
    let no_header = json!({ "skip_lines": 2, "columns": ["timestamp", "a"] });
    assert_eq!(read(b"x\ny\n2004-03-10,1\n2004-03-11,2", no_header.clone()).values(), ["a=1", "a=2"]);
    let behind = with(no_header, json!({ "skip_after_header": 1 }));
    assert_eq!(problems(with(behind, json!({ "path": "x" }))), ["skip_after_header: there is no header"]);
}

#[test]
fn a_header_that_is_not_the_first_line_is_found_and_the_option_named() {
    let (message, help) = error(&Files::one(TOA5.as_bytes()), "a.csv", with(toa5(), json!({ "skip_lines": 0 })));
    assert_eq!(message, "this is not the line that names the columns at a.csv:1");
    assert_eq!(help, "set skip_lines = 1: line 2 names them");
    let (_, help) = error(&Files::one(b"Station; Rome\n\n\ntimestamp,a\n2004-03-10,1\n"), "a.csv", json!({}));
    assert_eq!(help, "set skip_lines = 3: line 4 names them");
    let (_, help) = error(&Files::one(b"# made by x\ntimestamp,a\n"), "a.csv", json!({}));
    assert!(help.contains("comment = \"#\""), "{help}");
}

#[test]
fn a_line_of_units_and_a_comment_name_the_option_that_passes_over_them() {
    let csv = b"timestamp,a\nUTC,ug/m3\n2004-03-10,1\n# calibrated\n2004-03-11,2\n";
    let plain = read(csv, json!({ "fields": ["a"] }));
    assert_eq!(plain.values(), ["a=1", "a=2"]);
    assert!(plain.reasons()[0].ends_with("set skip_after_header = 1"), "{:?}", plain.reasons());
    assert!(plain.reasons()[1].ends_with("set comment = \"#\""), "{:?}", plain.reasons());
    let told = read(csv, json!({ "fields": ["a"], "skip_after_header": 1, "comment": "#" }));
    assert_eq!((told.values(), told.dead.len()), (vec!["a=1", "a=2"], 0));
}

#[test]
fn comments_are_lines_wherever_they_stand_and_whatever_they_hold() {
    let options = json!({ "comment": "//", "text_fields": ["b"] });
    let csv = "// \"one\n\n//two\ntimestamp,a,b\n//\n2004-03-10,1,\"//\n//\"\n//,,\r\n2004-03-11,2,//\n//end";
    let read = read(csv.as_bytes(), options);
    assert_eq!((read.values(), read.dead.len()), (vec!["a=1 b=\"//\\n//\"", "a=2 b=\"//\""], 0));
    for bad in ["", ",", "1", "\"", "ä", " "] {
        let options = json!({ "path": "x", "comment": bad });
        assert_eq!(problems(options).len(), 1, "{bad:?}");
    }
}

#[test]
fn the_line_for_spreadsheets_is_no_header() {
    let csv = "timestamp;a\r\n2004-03-10;1\r\n";
    for start in ["sep=;\r\n", "SEP=;\n", "\u{feff}sep=;\n", "\"sep=;\"\n", "sep=\n"] {
        assert_eq!(
            read(format!("{start}{csv}").as_bytes(), json!({ "delimiter": ";" })).values(),
            ["a=1"],
            "{start:?}"
        );
    }
    let skipped = json!({ "delimiter": ";", "skip_lines": 1 });
    assert_eq!(read(format!("sep=;\n{csv}").as_bytes(), skipped).values(), ["a=1"], "it is a line as others");
    let unnamed = json!({ "delimiter": ";", "columns": ["timestamp", "a"] });
    assert_eq!(read(b"sep=;\n2004-03-10;1\n", unnamed).values(), ["a=1"]);
    let (message, help) = error(&Files::one(b"sep=;\ntimestamp;a\n"), "a.csv", json!({}));
    assert_eq!(message, "the file says that its columns are split by `;`, and `delimiter` is \",\" at a.csv:1");
    assert_eq!(help, "set delimiter = \";\"");
}

#[test]
fn a_header_that_comes_again_is_no_record_however_it_is_written() {
    let csv = "timestamp,a\n2004-03-10,1\ntimestamp,a\n2004-03-11,2\n\"timestamp\", a \n\u{feff}timestamp,a\r\n2004-03-12,3\n";
    let read = read(csv.as_bytes(), json!({}));
    assert_eq!((read.values(), read.dead.len()), (vec!["a=1", "a=2", "a=3"], 0));
}

#[test]
fn lines_that_were_passed_over_are_counted() {
    let files = Files::one(b"sep=,\ntimestamp,a\n2004-03-10,1\ntimestamp,a\n2004-03-11,2\ntimestamp,a\n");
    let cx = BuildContext::for_tests();
    let source = built(files.options("a.csv", json!({})), &cx).expect("builds");
    source
        .run(std::sync::Arc::new(engine::Engine::opening(|_, mut reader| read_all(&mut *reader, 1).map(drop))))
        .expect("runs");
    assert_eq!(cx.metrics().passed_over.load(std::sync::atomic::Ordering::Relaxed), 3);
}

#[test]
fn with_fields_each_file_is_read_by_its_own_header() {
    let day = |columns: &str, row: &str| format!("{columns}\n{row}\n").into_bytes();
    let (one, two) = (day("timestamp,pm25,no2", "2024-02-01,7.1,21"), day("timestamp,no2,pm25", "2024-02-02,23,6.9"));
    let three = day("o3;x,timestamp,\"pm25\",no2,site,", "55,2024-02-03,6.5,24,a");
    let contents: [(&str, &[u8]); 3] = [("1.csv", &one), ("2.csv", &two), ("3.csv", &three)];
    let read = of_glob(&contents, json!({ "fields": ["pm25", "no2"] })).expect("reads");
    assert_eq!((read.values(), read.dead.len()), (vec!["pm25=7.1 no2=21", "pm25=6.9 no2=23", "pm25=6.5 no2=24"], 0));
    let renamed = of_glob(
        &[("1.csv", b"timestamp,PM,no2\n2024-02-01,1,2\n"), ("2.csv", b"no2,pm25,timestamp\n4,3,2024-02-02\n")],
        json!({ "fields": ["pm25"], "text_fields": ["no2"], "rename": { "PM": "pm25" } }),
    );
    assert_eq!(renamed.expect("reads").values(), ["pm25=1 no2=\"2\"", "pm25=3 no2=\"4\""]);
    let files = Files::new(&[("1.csv", b"timestamp,a\n"), ("2.csv", b"timestamp,b\n")]);
    assert_eq!(error(&files, "*.csv", json!({ "fields": ["a"] })).0, "there is no column `a` at 2.csv:1");
    let (_, help) = error(&files, "*.csv", json!({}));
    assert!(help.contains("`fields`"), "{help}");
}

#[test]
fn a_row_of_a_glob_keeps_the_header_of_its_own_file() {
    let files = Files::new(&[("1.csv", b"timestamp,a,b\nbad,1,2\n"), ("2.csv", b"timestamp,b,a\nbad,1,2\n")]);
    let options = files.options("*.csv", json!({ "fields": ["a", "b"] }));
    let mut split = split(options.clone(), &BuildContext::for_tests()).expect("opens");
    let dead = read_all(&mut *split, 10).expect("reads").dead;
    let mut again = config(options).dead_letter_decoder(&BuildContext::for_tests()).expect("builds").expect("can");
    let mut values = Vec::new();
    for letter in dead {
        let schema = split.raw_schema(&letter).expect("a form");
        let batch = again.decode(0, b"2004-03-10,1,2", Some(&schema)).expect("decodes").expect("a row");
        let mut read = Read::default();
        take(&mut read, &batch, Vec::new());
        values.push(read.values()[0].to_owned());
    }
    assert_eq!(values, ["a=1 b=2", "a=2 b=1"]);
    let nothing =
        again.decode(0, b"2004-03-10,1,2", None).expect("decodes").map(|_| ()).expect_err("which of the two?");
    assert!(nothing.contains("differ"), "{nothing}");
}

#[test]
fn rows_that_all_end_with_a_delimiter_are_read_without_it() {
    let csv = "timestamp,a\n2004-03-10,1,\n2004-03-11,2, \n";
    let found = read(csv.as_bytes(), json!({}));
    assert_eq!((found.values(), found.dead.len()), (vec!["a=1", "a=2"], 0));
    // It may be a decimal comma.
    let mixed = read(format!("{csv}2004-03-12,3\n2004-03-13,4,5\n").as_bytes(), json!({}));
    assert_eq!(mixed.values(), ["a=3"]);
    assert!(
        mixed.reasons()[0].ends_with("it ends with a `,`, or a decimal comma is not quoted"),
        "{:?}",
        mixed.reasons()
    );
    assert!(mixed.reasons()[2].ends_with("are its decimal commas not quoted?"), "{:?}", mixed.reasons());
    let late = read(format!("timestamp,a\n{}2004-03-13,4,5\n", "2004-03-10,1,\n".repeat(1000)).as_bytes(), json!({}));
    assert_eq!((late.values().len(), late.dead.len()), (1000, 1));
}

#[test]
fn names_of_rows_before_the_cells_are_told_with_options_that_read_them() {
    let csv = b"\"timestamp\",\"a\"\n\"1\",\"2004-03-10\",5\n\"2\",\"2004-03-11\",NA\n";
    let found = read(csv, json!({ "fields": ["a"] }));
    let option = "Set columns = [\"\", \"timestamp\", \"a\"] and skip_lines = 1";
    assert!(found.reasons()[0].ends_with(option), "{:?}", found.reasons());
    let columns = json!({ "columns": ["", "timestamp", "a"] });
    let told = read(csv, with(columns.clone(), json!({ "skip_lines": 1 })));
    assert_eq!((told.values().len(), told.dead.len()), (2, 0));
    let (message, help) = error(&Files::one(csv), "a.csv", with(columns, json!({ "header": true })));
    assert_eq!(message, "the header has 2 columns and `columns` names 3 at a.csv:1");
    assert_eq!(help, "leave `header` out and set skip_lines = 1: rows are read by `columns`");
}

#[test]
fn files_of_a_glob_may_name_their_columns_in_other_lines_than_the_first() {
    let files: [(&str, &[u8]); 3] = [
        ("1.csv", b"x\ny\ntimestamp,a\n2004-03-10,1\n"),
        ("2.csv", b"timestamp,a\n2004-03-11,2\n"),
        ("3.csv", b"x\n\n\n\ny\na,timestamp\n3,2004-03-12\n"),
    ];
    let found = of_glob(&files, json!({ "fields": ["a"], "skip_lines": 2 })).expect("reads");
    assert_eq!((found.values(), found.dead.len()), (vec!["a=1", "a=2", "a=3"], 0));
    let undeclared = of_glob(&files, json!({ "skip_lines": 2 })).expect_err("not by name");
    assert!(undeclared.help_text().is_some_and(|help| help.contains("with `fields`")), "{undeclared:?}");
}

#[test]
fn a_record_right_behind_a_header_that_comes_again_is_no_line_of_units() {
    let csv = b"timestamp,a,b\nTS,ug,ug\n2004-03-10,1,2\ntimestamp,b,a\n2004-03-11,4,3\n2004-03-12,6,5\n\
                timestamp,a,b\nTS,ug,ug\n2004-03-13,7,8\n";
    let found = read(csv, json!({ "fields": ["a", "b"], "skip_after_header": 1 }));
    assert_eq!((found.values(), found.reasons()), (vec!["a=1 b=2", "a=3 b=4", "a=5 b=6", "a=7 b=8"], vec![]));
}
