//! What becomes of the cells of good and of bad rows.

use super::*;

const UCI: &str = "Date;Time;CO(GT);T;;\r\n10/03/2004;18.00.00;2,6;13,6;;\r\n10/03/2004;19.00.00;-200;-1,9;;\r\n";

#[test]
fn a_row_keeps_its_time_key_and_values() {
    let read = read(UCI.as_bytes(), uci());
    assert_eq!(
        read.rows,
        ["22 +60 1078938000 [uci] CO(GT)=2.6 T=13.6", "54 +60 1078941600 [uci] CO(GT)=(missing observed(0)) T=-1.9",]
    );
    assert_eq!(read.dead, []);
    assert_eq!(read.raw[0].1, b"10/03/2004;18.00.00;2,6;13,6;;", "the line without its end");
}

#[test]
fn line_ends_marks_of_byte_order_and_blank_lines_change_nothing() {
    let expected = read(UCI.as_bytes(), uci());
    let variants = [
        UCI.replace('\r', ""),
        UCI.replace('\n', ""),
        UCI.trim_end().to_owned(),
        format!("\u{feff}{UCI}"),
        format!("{UCI};;;;;\r\n;;;;;\r\n \r\n\r\n"),
        UCI.replace("\r\n", "\r\n\r\n;;;;;\n  \n\n"),
        format!("\r\n\n{UCI}"),
        UCI.replace("2,6", "\"2,6\"").replace("18.00.00", "\"18.00.00\"").replace("CO(GT)", "\"CO(GT)\""),
        UCI.replace("2,6", "  2,60 ").replace("13,6", "\t1,36e1"),
        UCI.replace(";;", ""),
    ];
    for variant in variants {
        let read = read(variant.as_bytes(), uci());
        assert_eq!(read.values(), expected.values(), "{variant:?}");
        assert_eq!(read.dead, [], "{variant:?}");
    }
}

#[test]
fn a_cell_that_cannot_be_read_fails_and_is_no_gap() {
    let csv = "timestamp,a\n2004-03-10,1\n2004-03-11,x\n2004-03-12,inf\n2004-03-13,nan\n2004-03-14,1e999\n\
               2004-03-15,\n2004-03-16,NA\n2004-03-17,\"1,000\"\n";
    let read = read(csv.as_bytes(), json!({ "fields": ["a"] }));
    let (missing, no_number) = ("a=(missing observed(0))", "a=(fail observed(0) tests 0b1)");
    assert_eq!(read.values(), ["a=1", no_number, no_number, missing, no_number, missing, missing, no_number]);
}

#[test]
fn sentinels_compare_by_value_and_words_letter_by_letter() {
    let csv = "timestamp;a\n2004-03-10;-200\n2004-03-11;-200,0\n2004-03-12;-2e2\n2004-03-13;n.a.\n2004-03-14;N.A.\n\
               2004-03-15;200\n";
    let read =
        read(csv.as_bytes(), json!({ "delimiter": ";", "decimal": ",", "missing": [-200, "n.a."], "fields": ["a"] }));
    let missing = "a=(missing observed(0))";
    assert_eq!(read.values(), [missing, missing, missing, missing, "a=(fail observed(0) tests 0b1)", "a=200"]);
}

#[test]
fn rows_that_cannot_be_carried_are_dead_letters_with_their_place_and_bytes() {
    let csv = b"Date;Time;CO(GT)\r\n10/03/2004;18.00.00;1\r\n10/03/2004;19.00\r\n31/02/2004;20.00.00;2\r\n\
                10/03/2004;21.00.00;\xb5g\r\n10/03/2004;22.00.00;3;4\r\n10/03/2004;23.00.00;5";
    let read = read(csv, uci());
    assert_eq!(read.values(), ["[uci] CO(GT)=1", "[uci] CO(GT)=5"]);
    let places: Vec<_> = read.dead.iter().map(|letter| letter.place.as_deref().unwrap_or_default()).collect();
    assert_eq!(places, ["a.csv:3", "a.csv:4", "a.csv:5", "a.csv:6"]);
    let raw: Vec<_> = read.dead.iter().map(|letter| letter.raw.as_deref().unwrap_or_default()).collect();
    assert_eq!(
        raw,
        [&b"10/03/2004;19.00"[..], b"31/02/2004;20.00.00;2", b"10/03/2004;21.00.00;\xb5g", b"10/03/2004;22.00.00;3;4"]
    );
    let reasons = read.reasons();
    assert_eq!(reasons[0], "the row has 2 columns and the header 3: was it cut off?");
    assert!(
        reasons[1].starts_with(
            "`Date` and `Time` are `31/02/2004 20.00.00`, which is not a time of the format `%d/%m/%Y %H.%M.%S`: "
        ),
        "{}",
        reasons[1]
    );
    assert_eq!(reasons[2], "column 3 is not UTF-8: `encoding` says what the file is");
    assert_eq!(reasons[3], "the row has 4 columns and the header 3");
    for letter in &read.dead {
        let origin = letter.source_offset as usize;
        let raw = letter.raw.as_deref().unwrap_or_default();
        assert_eq!(&csv[origin..origin + raw.len()], raw, "the origin is where the bytes are");
    }
}

#[test]
fn decimal_commas_without_quotes_in_a_comma_file_are_named_as_the_likely_mistake() {
    let read = read(b"timestamp,a,b\n2004-03-10,1,2,3,4\n", json!({}));
    assert_eq!(read.reasons(), ["the row has 5 columns and the header 3: are its decimal commas not quoted?"]);
}

#[test]
fn a_wrong_delimiter_in_a_file_without_a_header_is_named() {
    let read = read(b"2004-03-10;1\n", json!({ "columns": ["timestamp", "a"] }));
    assert_eq!(read.reasons(), ["the row has 1 column and `columns` 2: the file seems to use `;`"]);
}

#[test]
fn a_value_in_a_last_column_without_a_name_is_a_dead_letter_and_an_index_is_ignored() {
    let late = read(b"timestamp,a,\n2004-03-10,1,2\n2004-03-11,1,\n2004-03-12,1\n", json!({}));
    let reason = "column 3 is `2`, and the header has no name for it; with `fields` it would be passed over";
    assert_eq!((late.reasons(), late.values()), (vec![reason], vec!["a=1", "a=1"]));
    let declared = read(b"timestamp,a,\n2004-03-10,1,2\n", json!({ "fields": ["a"] }));
    assert_eq!((declared.values(), declared.dead.len()), (vec!["a=1"], 0), "nobody asks for it");
    let commas = json!({ "fields": ["a"], "decimal": "," });
    assert_eq!(read(b"timestamp,a,\n2004-03-10,1,2\n", commas).dead.len(), 1, "it may be a fraction");
    let index = read(b",timestamp,a\n0,2004-03-10,1\n1,2004-03-11,2\n", json!({}));
    assert_eq!(index.values(), ["a=1", "a=2"]);
}

#[test]
fn a_quote_that_is_not_closed_costs_one_line() {
    let csv = "timestamp,a,b\n2004-03-10,1,\"x\n2004-03-11,2,y\n2004-03-12,3,\"z\"\n2004-03-13,4,w\n";
    let read = read(csv.as_bytes(), json!({ "text_fields": ["b"] }));
    assert_eq!(read.values(), ["a=2 b=\"y\"", "a=3 b=\"z\"", "a=4 b=\"w\""]);
    assert_eq!(read.dead.len(), 1);
    assert_eq!(read.dead[0].raw.as_deref(), Some(&b"2004-03-10,1,\"x"[..]));
    assert!(read.dead[0].reason.ends_with("is a quote not closed?"), "{}", read.dead[0].reason);
    assert_eq!(read.dead[0].place.as_deref(), Some("a.csv:2"));
}

#[test]
fn a_measurement_that_goes_over_lines_swallows_no_row() {
    let csv = "timestamp,a\n2004-03-10,\"1\n2004-03-11,2\"\n2004-03-12,3\n";
    let read = read(csv.as_bytes(), json!({ "fields": ["a"] }));
    assert_eq!(read.values(), ["a=(fail observed(0) tests 0b1)", "a=3"], "the second line stands for itself");
    assert_eq!(read.reasons(), ["the row goes over several lines: is a quote not closed?"]);
}

#[test]
fn a_record_without_an_end_costs_one_line_and_not_the_memory() {
    let mut csv = b"timestamp,a\n2004-03-10,\"1\n".to_vec();
    for _ in 0..150_000 {
        csv.extend_from_slice(b"2004-03-11,2\n");
    }
    let read = read(&csv, json!({ "fields": ["a"] }));
    assert_eq!(read.rows.len(), 150_000);
    assert_eq!(read.reasons(), ["no end of the row within 1024 KiB: is a quote not closed?"]);
    assert_eq!(read.dead[0].raw.as_deref(), Some(&b"2004-03-10,\"1"[..]));
}

#[test]
fn bytes_without_line_ends_become_dead_letters_of_bounded_size() {
    let mut csv = b"timestamp,a\n".to_vec();
    csv.extend(std::iter::repeat_n(b'x', 2_500_000));
    let read = read(&csv, json!({}));
    assert_eq!(read.rows.len(), 0);
    let sizes: Vec<usize> = read.dead.iter().map(|letter| letter.raw.as_ref().map_or(0, Vec::len)).collect();
    assert_eq!(sizes, [1 << 20, 1 << 20, 2_500_000 - (2 << 20)]);
}

#[test]
fn a_quoted_cell_may_go_over_lines_and_lines_are_counted_on() {
    let csv = "timestamp,a,b\r\n2004-03-10,1,\"x\r\ny\"\r\nbad,2,z\r\n";
    let read = read(csv.as_bytes(), json!({ "text_fields": ["b"] }));
    assert_eq!(read.values(), ["a=1 b=\"x\\r\\ny\""]);
    assert_eq!(read.dead[0].place.as_deref(), Some("a.csv:4"));
}

#[test]
fn most_cells_of_the_sample_say_what_an_undeclared_field_holds() {
    let csv = "timestamp,word_first,text,code,late,mostly\n2004-03-10,ERR,,007,,x\n2004-03-11,2,y,008,,1\n\
               2004-03-12,3,z,9,,2\n";
    let read = read(csv.as_bytes(), json!({}));
    assert_eq!(
        read.values(),
        [
            "word_first=(fail observed(0) tests 0b1) text=(no text) code=\"007\" late=(missing observed(0)) \
             mostly=(fail observed(0) tests 0b1)",
            "word_first=2 text=\"y\" code=\"008\" late=(missing observed(0)) mostly=1",
            "word_first=3 text=\"z\" code=\"9\" late=(missing observed(0)) mostly=2",
        ]
    );
}

#[test]
fn a_field_without_a_value_in_the_sample_is_what_its_first_value_says() {
    let row = |row: usize| format!("2004-03-10,{},{row}\n", if row < 1_050 { "" } else { "x" });
    let body: String = (0..1_100).map(row).collect();
    let files = Files::one(format!("timestamp,a,b\n{body}").as_bytes());
    let mut split = split(files.options("a.csv", json!({})), &BuildContext::for_tests()).expect("opens");
    let (first, _) = next(&mut *split, 2_000).expect("reads").expect("rows");
    assert_eq!(first.rows(), 1_050, "text in `a` changes the fields: what came before it leaves first");
    let (second, _) = next(&mut *split, 2_000).expect("reads").expect("rows");
    assert!(matches!(second.column(0), Column::Text(_)));
}

#[test]
fn columns_that_look_like_words_for_their_decimal_mark_stop_the_run_with_the_option() {
    let csv = "Date;CO;T\n2004-03-10;2,6;13,6\n2004-03-11;3;1,5\n2004-03-12;2,2;x\n";
    for more in [json!({}), json!({ "fields": ["CO", "T"] })] {
        let options = with(json!({ "delimiter": ";", "timestamp": { "column": "Date" } }), more);
        let files = Files::one(csv.as_bytes());
        let mut split = split(files.options("a.csv", options.clone()), &BuildContext::for_tests()).expect("opens");
        let error = next(&mut *split, 10).expect_err("most cells cannot be read");
        assert!(error.help_text().is_some_and(|help| help.contains("decimal = \",\"")), "{error:?}");
        assert!(error.to_string().contains("`CO` (2 of 3, such as `2,6`)"), "{error}");
        let read = read(csv.as_bytes(), with(options, json!({ "decimal": "," })));
        assert_eq!(read.values()[..2], ["CO=2.6 T=13.6", "CO=3 T=1.5"]);
    }
    let warns =
        json!({ "delimiter": ";", "timestamp": { "column": "Date" }, "fields": ["CO"], "on_unreadable": "warn" });
    assert_eq!(read(csv.as_bytes(), warns).values()[1], "CO=3");
}

#[test]
fn values_beyond_limits_marks_words_and_thousands_are_read_as_told() {
    let csv = "timestamp,a,b,c\n2004-03-10,<0.5,14#,NR\n2004-03-11,>50,21*,\"1,234.5\"\n2004-03-12,\u{2212}1,x,---\n";
    let options = json!({
        "fields": ["a", "b", "c"], "censored": "half", "value_marks": { "#": "fail", "*": "suspect", "x": "missing" },
        "words": { "NR": 0 }, "thousands": ",",
    });
    let read = read(csv.as_bytes(), options);
    assert_eq!(
        read.values(),
        [
            "a=0.25 b=(fail observed(0) tests 0b10) c=0",
            "a=50 b=21 c=1234.5",
            "a=-1 b=(missing observed(0)) c=(missing observed(0))",
        ]
    );
}

#[test]
fn the_publishers_codes_are_a_verdict_of_its_own() {
    let csv = "timestamp,NO2,v,O3,v\n2004-03-10,1,1,2,-99\n2004-03-11,3,-1,x,-99\n2004-03-12,4,7,5,\n";
    let flags = json!({
        "NO2": { "column": 3, "good": [1], "fail": [-1] },
        "O3": { "column": 5, "good": [1], "missing": [-99] },
    });
    for more in [json!({}), json!({ "fields": ["NO2", "O3"] })] {
        let files = Files::one(csv.as_bytes());
        let options = with(json!({ "flags": flags }), more);
        let mut split = split(files.options("a.csv", options), &BuildContext::for_tests()).expect("opens");
        let (batch, _) = next(&mut *split, 10).expect("reads").expect("rows");
        let shown: Vec<String> = (0..2)
            .flat_map(|field| {
                let numbers = batch.numbers(field).expect("numbers");
                (0..3).map(move |row| format!("{:?} {:?}", numbers.get(row), numbers.quality_at(row)))
            })
            .collect();
        let expected = [
            "Some(1.0) good observed(0)",
            "Some(3.0) fail observed(0) tests 0b10",
            "Some(4.0) unknown observed(0)",
            "None missing observed(0)",
            "None missing observed(0)",
            "Some(5.0) unknown observed(0)",
        ];
        assert_eq!(shown, expected);
        assert_eq!(batch.fields().list.len(), 2, "codes are no fields");
    }
}

#[test]
fn a_field_that_a_stage_measures_is_one_of_numbers_whatever_comes_first() {
    let files = Files::one(b"timestamp,a,b\n2004-03-10,x,x\n");
    let cx = BuildContext::for_tests().with_numeric_fields(["a"]);
    let mut split = split(files.options("a.csv", json!({})), &cx).expect("opens");
    let read = read_all(&mut *split, 10).expect("reads");
    assert_eq!(read.values(), ["a=(fail observed(0) tests 0b1) b=\"x\""]);
}
