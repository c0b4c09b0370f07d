//! What holds for any bytes.

use proptest::prelude::*;

use super::*;

/// A cell as a writer would quote it.
fn quoted(cell: &str, delimiter: char, always: bool) -> String {
    if always || cell.contains([delimiter, '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

fn nasty() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"2004-03-10".to_vec()),
        Just(b"timestamp,a,b\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\r".to_vec()),
        Just(b",".to_vec()),
        Just(b"\"".to_vec()),
        Just(b" ".to_vec()),
        Just(b"\xef\xbb\xbf".to_vec()),
        "[0-9]{1,3}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 1..4),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

/// Whether bytes are blank lines, and headers that come again.
fn is_blank_or_header(bytes: &[u8]) -> bool {
    let is_said = |c: &char| matches!(c, '\r' | '\n') || !(c.is_whitespace() || matches!(c, '"' | '\u{feff}'));
    let text: String = String::from_utf8_lossy(bytes).to_lowercase().chars().filter(is_said).collect();
    text.split(['\r', '\n']).all(|line| line == "timestamp,a,b" || line.chars().all(|char| char == ','))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn text_reads_back_as_it_was_written(
        cells in prop::collection::vec("[a-z;,|\t\"'\n\r é€-]{0,8}x", 1..20),
        delimiter in prop::sample::select(vec![',', ';', '\t', '|']),
        always in any::<bool>(),
        end in prop::sample::select(vec!["\n", "\r\n", "\r"]),
    ) {
        let mut csv = format!("timestamp{delimiter}b{end}");
        for cell in &cells {
            csv.push_str(&format!("2004-03-10{delimiter}{}{end}", quoted(cell, delimiter, always)));
        }
        let read = read(csv.as_bytes(), json!({ "delimiter": delimiter, "text_fields": ["b"] }));
        let expected: Vec<String> = cells.iter().map(|cell| format!("b={cell:?}")).collect();
        prop_assert_eq!(read.values(), expected);
        prop_assert!(read.dead.is_empty());
    }

    #[test]
    fn numbers_read_back_as_they_were_written(
        numbers in prop::collection::vec(any::<f64>().prop_filter("finite", |n| n.is_finite()), 1..20),
        comma in any::<bool>(),
    ) {
        let mut csv = "timestamp;a\n".to_owned();
        for number in &numbers {
            let text = format!("{number:e}");
            csv.push_str(&format!("2004-03-10;{}\n", if comma { text.replace('.', ",") } else { text }));
        }
        let decimal = if comma { "," } else { "." };
        let read = read(csv.as_bytes(), json!({ "delimiter": ";", "decimal": decimal, "fields": ["a"] }));
        let expected: Vec<String> = numbers.iter().map(|number| format!("a={number}")).collect();
        prop_assert_eq!(read.values(), expected);
    }

    #[test]
    fn a_line_without_quotes_is_read_like_one_with_quotes(
        rows in prop::collection::vec(
            (
                prop::sample::select(vec!["2004-03-10", "2004-03-11 05:00", " 2004-03-12", "2004-03-12T00:00:00Z", "x", ""]),
                prop::collection::vec(
                    prop_oneof![
                        5 => "-?[0-9]{1,4}([.][0-9]{0,4})?",
                        1 => "[-+ ]?[0-9]{0,19}[.]?[0-9]{0,3}(e[0-9])? ?",
                        1 => prop::sample::select(vec!["", " ", "NA", "-200", "-200.0", "abc", "1e5", "-", "<2", "\u{e9}", "'1'", "1#"])
                            .prop_map(str::to_owned),
                    ],
                    3,
                ),
                prop::sample::select(vec!["", "", "", "", "~", "~~", "~1", "cut"]),
            ),
            1..40,
        ),
        (delimiter, decimal) in prop::sample::select(vec![(",", "."), (";", ","), ("\t", ".")]),
        end in prop::sample::select(vec!["\n", "\r\n", "\r"]),
        extra in prop::sample::select(vec!["", "~", "~~"]),
    ) {
        let written = |quote: &str| {
            let mut csv = format!("timestamp~a~b~note{extra}{end}");
            for (time, cells, more) in &rows {
                let mut cells: Vec<String> = cells.iter().map(|cell| cell.replace('.', decimal)).collect();
                if *more == "cut" {
                    cells.pop();
                }
                csv.push_str(&format!("{quote}{time}{quote}~{}{extra}{}{end}", cells.join("~"), more.replace("cut", "")));
            }
            let options = json!({
                "delimiter": delimiter, "decimal": decimal, "missing": [-200], "fields": ["b", "a"], "text_fields": ["note"],
                "on_unreadable": "warn", "censored": "half", "value_marks": { "#": "suspect" },
            });
            let read = read(csv.replace('~', delimiter).as_bytes(), options);
            // Without its origin: quotes take bytes.
            let rows = read.rows.iter().map(|row| row.split_once(' ').map_or("", |(_, rest)| rest).to_owned());
            let rows: Vec<String> = rows.collect();
            (rows, read.reasons().iter().map(|reason| reason.to_string()).collect::<Vec<_>>())
        };
        prop_assert_eq!(written(""), written("\""));
    }

    #[test]
    fn every_byte_is_in_a_row_or_in_a_dead_letter_or_blank(body in nasty()) {
        let header = b"timestamp,a,b\n";
        let read = read(&[header, &body[..]].concat(), json!({}));
        let mut pieces: Vec<(u64, Vec<u8>)> = read.raw.clone();
        pieces.extend(read.dead.iter().map(|letter| (letter.source_offset, letter.raw.clone().unwrap_or_default())));
        pieces.sort();
        let mut at = header.len();
        for (origin, bytes) in &pieces {
            let start = *origin as usize - header.len();
            prop_assert_eq!(&body[start..start + bytes.len()], &bytes[..], "the bytes are those of the file");
            prop_assert!(*origin as usize >= at, "no byte twice");
            let between = &body[at - header.len()..start];
            prop_assert!(is_blank_or_header(between), "lost: {:?}", between);
            at = *origin as usize + bytes.len();
        }
        let rest = &body[at - header.len()..];
        prop_assert!(is_blank_or_header(rest), "lost: {:?}", rest);
    }

    #[test]
    fn no_bytes_make_a_header_panic(bytes in nasty()) {
        let files = Files::one(&bytes);
        let source = built(files.options("a.csv", json!({})), &BuildContext::for_tests()).expect("is there");
        let _ = source.fields();
        if let Ok(splits) = source.fit_readers() {
            for (_, mut split) in splits {
                // A second line may be a header too, of other columns.
                if let Err(error) = read_all(&mut *split, 3) {
                    prop_assert!(error.to_string().starts_with("a header comes again"), "{}", error);
                }
            }
        }
    }
}
