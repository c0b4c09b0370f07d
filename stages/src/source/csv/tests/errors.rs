//! Files that cannot be read, and what is said of them.

use aqpipe_engine::ErrorKind;

use super::*;

#[test]
fn a_wrong_delimiter_is_named_with_the_right_one() {
    let files = Files::one(b"timestamp;a;b\n2004-03-10;1;2\n");
    let (message, help) = error(&files, "a.csv", json!({}));
    assert_eq!(message, "the columns are split by `,`, but the file seems to use `;` at a.csv:1");
    assert_eq!(help, "set delimiter = \";\"");
}

#[test]
fn a_column_that_is_not_there_is_named_with_those_that_are() {
    let files = Files::one(b"Date;Time;CO(GT);T\n");
    let (message, help) = error(&files, "a.csv", with(uci(), json!({ "fields": ["CO(GT", "T"] })));
    assert_eq!(message, "there is no column `CO(GT` at a.csv:1");
    assert_eq!(help, "did you mean `CO(GT)` for `CO(GT`? the file's columns are `Date`, `Time`, `CO(GT)`, `T`");
    let source = built(files.options("a.csv", json!({ "delimiter": ";" })), &BuildContext::for_tests());
    let error = source.and_then(|source| source.fields()).expect_err("no timestamp");
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[test]
fn two_columns_of_one_name_are_an_error_where_the_name_is_used() {
    let files = Files::one(b"timestamp,a,a,b\n2004-03-10,1,2,3\n");
    assert_eq!(error(&files, "a.csv", json!({})).0, "two columns are called `a` at a.csv:1");
    assert_eq!(error(&files, "a.csv", json!({ "fields": ["a"] })).0, "two columns are called `a` at a.csv:1");
    assert_eq!(read(b"timestamp,a,a,b\n2004-03-10,1,2,3\n", json!({ "fields": ["b"] })).values(), ["b=3"]);
}

#[test]
fn a_column_that_is_called_as_the_key_or_the_timestamp_must_be_renamed() {
    let files = Files::one(b"Date;Time;station;timestamp\n");
    let (message, help) = error(&files, "a.csv", uci());
    assert_eq!(message, "`station` is the key and cannot be a field as well at a.csv:1");
    assert_eq!(help, "`rename` calls the column something else");
    let (message, _) = error(&files, "a.csv", with(uci(), json!({ "key": null })));
    assert_eq!(message, "`timestamp` is reserved for the time of a record at a.csv:1");
}

#[test]
fn an_empty_file_has_no_header_and_a_header_alone_no_records() {
    for nothing in [&b""[..], b"\xef\xbb\xbf", b"\r\n\r\n;;;\r\n"] {
        let (message, help) = error(&Files::one(nothing), "a.csv", uci());
        assert_eq!(message, "a.csv is empty: it has no line that names its columns");
        assert!(help.contains("`columns ="), "{help}");
    }
    for header in [&b"timestamp,a"[..], b"timestamp,a\r\n", b"timestamp,a\n\n,\n"] {
        assert_eq!(read(header, json!({})), Read::default());
    }
}

#[test]
fn a_missing_file_is_named_with_the_working_directory() {
    let files = Files::new(&[]);
    let (message, help) = error(&files, "no.csv", json!({}));
    assert!(message.starts_with("there is no file no.csv (the working directory is "), "{message}");
    assert!(help.contains("sample_if_missing"), "{help}");
    let (message, _) = error(&files, "*.csv", json!({}));
    assert!(message.starts_with("no file matches *.csv (the working directory is "), "{message}");
}

#[test]
fn a_directory_is_no_file() {
    let files = Files::new(&[]);
    std::fs::create_dir(files.path("d")).expect("makes");
    let (message, help) = error(&files, "d", json!({}));
    assert_eq!(message, "d is a directory, not a file");
    assert_eq!(help, "name its files by a glob: path = \"d/*.csv\"");
}

#[test]
fn a_header_that_is_not_utf8_is_said_to_be_so() {
    let (message, help) = error(&Files::one(b"timestamp,T (\xb0C)\n"), "a.csv", json!({}));
    assert_eq!(message, "the names of the columns are not UTF-8 at a.csv:1");
    assert!(help.contains("iconv"), "{help}");
}

#[test]
fn the_files_of_a_glob_must_have_one_header() {
    let files = Files::new(&[("a.csv", b"timestamp,a,b\n"), ("b.csv", b"timestamp,b,a\n")]);
    for parallel in [false, true] {
        let (message, _) = error(&files, "*.csv", json!({ "parallel": parallel }));
        assert_eq!(message, "b.csv has other columns than a.csv: column 2 is `b`, not `a`");
    }
    let files = Files::new(&[("a.csv", b"timestamp,a,b\n"), ("b.csv", b"timestamp,a\n")]);
    assert_eq!(error(&files, "*.csv", json!({})).0, "b.csv has other columns than a.csv: it has 2 columns, not 3");
}

#[test]
fn a_header_of_another_width_than_the_names_that_replace_it_is_an_error() {
    let options = json!({ "columns": ["timestamp", "a"], "header": true });
    let (message, _) = error(&Files::one(b"x,y,z\n"), "a.csv", options);
    assert_eq!(message, "the header has 3 columns and `columns` names 2 at a.csv:1");
}

#[test]
fn a_header_that_is_none_names_the_option_that_reads_the_file() {
    let help = |text: &[u8], more: Value| error(&Files::one(text), "a.csv", more).1;
    let fields = || json!({ "fields": ["a"] });
    assert!(
        help(b"2004-03-10,5,7\n2004-03-11,6,8\n", json!({})).contains("read with `columns`, a name for each of its 3")
    );
    assert_eq!(help(b"timestamp a  b\n2004-03-10 5  7\n", fields()), "set delimiter = \" \"");
    assert_eq!(help(b"timestamp\ta,5\tb\n", json!({ "fields": ["b"] })), "set delimiter = \"\\t\"");
    assert!(help(b"\"timestamp,a\"\n\"2004-03-10,5\"\n", fields()).contains("quotes around whole lines"));
    let renamed = help(b"timestamp,a,b\n2004-03-10,5,7\n", json!({ "rename": { "a": "b" } }));
    assert!(renamed.contains("`rename` calls `a` so"), "{renamed}");
    let marks = help(b"timestamp,a,qc_flags,fills,tests\n", json!({}));
    assert!(marks.contains("marks = \"columns\""), "{marks}");
    let twice = json!({ "path": "x", "fields": ["a", "b"], "text_fields": ["b"] });
    assert_eq!(problems(twice), ["text_fields.0: `b` is one of `fields` too, which are measurements"]);
}
