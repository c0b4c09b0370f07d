use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::missing::Sentinel;
use super::*;

fn reader(change: impl FnOnce(&mut NumberOptions)) -> NumberReader {
    let mut options = NumberOptions::default();
    change(&mut options);
    assert!(options.check().is_empty(), "{:?}", options.check());
    NumberReader::new(&options, 1)
}

fn check(reader: &NumberReader, cases: &[(&str, Reading)]) {
    for (cell, expected) in cases {
        assert_eq!(reader.read(cell.as_bytes()), *expected, "{cell:?}");
    }
}

use Reading::{Censored as Beyond, CensoredSuspect, Failed, Missing as Gap, Suspect, Unreadable, Value};

#[test]
fn what_is_neither_a_number_nor_a_word_for_no_value_is_unreadable() {
    let cases = [
        ("2.5", Value(2.5)),
        ("", Gap),
        ("NA", Gap),
        ("#N/A", Gap),
        ("---", Gap),
        ("\u{a0}", Gap),
        ("-2\u{a0}", Value(-2.0)),
        ("\u{2212}3.5", Value(-3.5)),
        ("\u{2013}3.5", Value(-3.5)),
        ("2,5", Unreadable),
        ("1,234", Unreadable),
        ("1 234", Unreadable),
        ("<0.5", Unreadable),
        ("14#", Unreadable),
        ("inf", Unreadable),
        ("1e999", Unreadable),
        ("12-13", Unreadable),
        ("\u{2212}", Unreadable),
        ("\u{2212}\u{2212}1", Unreadable),
        ("ERR", Unreadable),
        ("0x10", Unreadable),
        ("٣", Unreadable),
    ];
    check(&reader(|_| {}), &cases);
    assert_eq!(reader(|_| {}).read(b"1\xff"), Unreadable);
}

#[test]
fn thousands_stand_between_groups_of_three_digits_and_nowhere_else() {
    let continental = reader(|options| (options.decimal, options.thousands) = (',', Thousands::Point));
    let cases = [
        ("1.234,5", Value(1234.5)),
        ("12.345.678", Value(12_345_678.0)),
        ("-1.234", Value(-1234.0)),
        ("\u{2212}1.234,5", Value(-1234.5)),
        ("234,5", Value(234.5)),
        ("1.23", Unreadable),
        ("1.2345", Unreadable),
        ("1234.567", Unreadable),
        (".234", Unreadable),
        ("1..234", Unreadable),
        ("1,234.5", Unreadable),
        ("1.234.", Unreadable),
        ("0.123", Unreadable),
        ("00.123", Unreadable),
        ("-0.500", Unreadable),
        ("012.345", Unreadable),
        ("0,123", Value(0.123)),
        ("100.000", Value(100_000.0)),
    ];
    check(&continental, &cases);
    let blank = reader(|options| options.thousands = Thousands::Blank);
    for spelt in ["1 234.5", "1\u{a0}234.5", "1\u{2009}234.5", "1\u{202f}234.5"] {
        check(&blank, &[(spelt, Value(1234.5))]);
    }
    check(&blank, &[("1 2", Unreadable), ("1  234", Unreadable)]);
    check(
        &reader(|options| options.thousands = Thousands::Apostrophe),
        &[("1'234", Value(1234.0)), ("1\u{2019}234", Value(1234.0))],
    );
    check(
        &reader(|options| options.thousands = Thousands::Comma),
        &[("1,234.5", Value(1234.5)), ("2,5", Unreadable), ("0,123", Unreadable)],
    );
}

#[test]
fn a_word_with_a_value_has_it_also_where_it_stands_for_no_value_elsewhere() {
    let reader = reader(|options| {
        options.words = BTreeMap::from([("-".to_owned(), 0.0), ("NA".to_owned(), 3.0)]);
        options.value_marks = BTreeMap::from([("*".to_owned(), MarkVerdict::Suspect)]);
    });
    check(
        &reader,
        &[
            ("-", Value(0.0)),
            ("NA", Value(3.0)),
            ("NA\u{a0}", Value(3.0)),
            ("NA*", Suspect(3.0)),
            ("---", Gap),
            ("null", Gap),
            ("", Gap),
        ],
    );
}

#[test]
fn a_mark_behind_a_limit_is_the_verdict_on_the_limit() {
    let reader = reader(|options| {
        let verdicts = [
            ("U", MarkVerdict::Suspect),
            ("*", MarkVerdict::Suspect),
            ("#", MarkVerdict::Fail),
            ("x", MarkVerdict::Missing),
        ];
        options.value_marks = verdicts.map(|(mark, verdict)| (mark.to_owned(), verdict)).into();
        options.censored = Some(Censored::Half);
    });
    let cases = [
        ("<0.5U", CensoredSuspect(0.25)),
        ("<0.5 U", CensoredSuspect(0.25)),
        ("< 0.5*U", CensoredSuspect(0.25)),
        (">50*", CensoredSuspect(50.0)),
        ("<0.5#", Failed),
        ("<0.5x", Gap),
        ("<0.5", Beyond(0.25)),
        ("<U", Unreadable),
        ("U<0.5", Unreadable),
    ];
    check(&reader, &cases);
    let mut cells = NumberBuilder::default();
    reader.append(&mut cells, CensoredSuspect(0.25));
    let quality = CellQuality(*cells.last().expect("a cell").0);
    assert_eq!((quality.flag(), quality.provenance(), quality.tests()), (Flag::Suspect, Provenance::Censored, 2));
}

#[test]
fn a_code_is_digits_that_a_number_would_not_keep() {
    for code in ["007", "00", "9007199254740993", "99999999999999999999999", "-9007199254740993", "0123456789012345678"]
    {
        assert!(is_code(code.as_bytes()), "{code}");
    }
    for number in ["", "0", "7", "-7", "0.5", "9007199254740992", "9007199254740993.0", "1e30", "-", "12345678901234"] {
        assert!(!is_code(number.as_bytes()), "{number}");
    }
}

#[test]
fn words_have_values_and_numbers_and_words_stand_for_no_value() {
    let reader = reader(|options| {
        options.words = BTreeMap::from([("NR".to_owned(), 0.0)]);
        options.missing = vec![Sentinel::Number(-999.0), Sentinel::Word("offline".to_owned())];
    });
    let cases =
        [("NR", Value(0.0)), ("nr", Unreadable), ("-999.0", Gap), ("offline", Gap), ("None", Gap), ("0", Value(0.0))];
    check(&reader, &cases);
}

#[test]
fn a_value_beyond_a_limit_is_what_the_option_says() {
    for (how, below) in [(Censored::Half, 0.25), (Censored::Limit, 0.5), (Censored::Zero, 0.0)] {
        let reader = reader(|options| options.censored = Some(how));
        for spelt in ["<0.5", "< 0.5", "<=0.5", "\u{2264}0.5"] {
            check(&reader, &[(spelt, Beyond(below))]);
        }
        check(
            &reader,
            &[
                (">50", Beyond(50.0)),
                ("<", Unreadable),
                ("<x", Unreadable),
                ("<<0.5", Unreadable),
                ("0.5<", Unreadable),
            ],
        );
    }
    let comma = reader(|options| (options.decimal, options.censored) = (',', Some(Censored::Half)));
    check(&comma, &[("<0,5", Beyond(0.25))]);
}

#[test]
fn marks_behind_values_say_what_they_are_worth() {
    let verdicts =
        [("#", MarkVerdict::Fail), ("*", MarkVerdict::Suspect), ("x", MarkVerdict::Missing), ("**", MarkVerdict::Fail)];
    let reader = reader(|options| {
        options.value_marks = verdicts.iter().map(|(mark, verdict)| ((*mark).to_owned(), *verdict)).collect();
    });
    let cases = [
        ("14#", Failed),
        ("14 #", Failed),
        ("21*", Suspect(21.0)),
        ("21**", Failed),
        ("20x", Gap),
        ("20*#", Failed),
        ("#", Failed),
        ("x", Gap),
        ("*", Gap),
        ("NA#", Failed),
        ("14#5", Unreadable),
        ("#14", Unreadable),
        ("y#", Unreadable),
    ];
    check(&reader, &cases);
}

#[test]
fn a_unit_behind_values_says_nothing_of_them() {
    let reader = reader(|options| {
        options.value_marks =
            ["ug/m3", "p.p.b.", "ppb (1h)"].map(|unit| (unit.to_owned(), MarkVerdict::Good)).into_iter().collect();
        options.value_marks.insert("*".to_owned(), MarkVerdict::Suspect);
        options.censored = Some(Censored::Half);
    });
    let cases = [
        ("0.5 ug/m3", Value(0.5)),
        ("0.5ug/m3", Value(0.5)),
        ("1e3 p.p.b.", Value(1e3)),
        ("7 ppb (1h)", Value(7.0)),
        ("<1 ug/m3", Beyond(0.5)),
        ("0.5* ug/m3", Suspect(0.5)),
        ("NA ug/m3", Gap),
        ("ug/m3", Gap),
        ("3 ug/m", Unreadable),
    ];
    check(&reader, &cases);
}

#[test]
fn options_that_contradict_each_other_are_found() {
    let problems = |change: fn(&mut NumberOptions)| {
        let mut options = NumberOptions::default();
        change(&mut options);
        options.check().into_iter().map(|problem| problem.path.join(".")).collect::<Vec<_>>()
    };
    assert_eq!(problems(|options| options.thousands = Thousands::Point), ["thousands"]);
    assert_eq!(problems(|options| options.decimal = ';'), ["decimal"]);
    assert_eq!(problems(|options| options.words = BTreeMap::from([(" ".to_owned(), 0.0)])), ["words. "]);
    assert_eq!(problems(|options| options.words = BTreeMap::from([("NR".to_owned(), f64::NAN)])), ["words.NR"]);
    for number in ["12", "-999.0", "\u{2212}1", "1e3"] {
        let mut options = NumberOptions { words: [(number.to_owned(), 0.0)].into(), ..NumberOptions::default() };
        options.missing.push(Sentinel::Number(-999.0));
        let problems = options.check();
        assert!(problems.len() == 1 && problems[0].path == ["words", number], "{problems:?}");
    }
    let in_both = |options: &mut NumberOptions| {
        options.words = [("NR".to_owned(), 0.0), ("-".to_owned(), 0.0)].into();
        options.missing = vec![Sentinel::Word("NR".to_owned())];
    };
    assert_eq!(problems(in_both), ["words.NR"]);
    assert_eq!(
        problems(|options| options.value_marks = BTreeMap::from([("5".to_owned(), MarkVerdict::Fail)])),
        ["value_marks.5"]
    );
    assert_eq!(problems(|options| options.missing.push(Sentinel::Number(f64::INFINITY))), ["missing.0"]);
}

fn any_options() -> impl Strategy<Value = NumberOptions> {
    let thousands = prop::sample::select(vec![
        Thousands::None,
        Thousands::Point,
        Thousands::Comma,
        Thousands::Blank,
        Thousands::Apostrophe,
    ]);
    let censored = prop::option::of(prop::sample::select(vec![Censored::Half, Censored::Limit, Censored::Zero]));
    let decimal = prop::sample::select(vec!['.', ',']);
    (decimal, thousands, censored, any::<bool>()).prop_filter_map(
        "they contradict each other",
        |(decimal, thousands, censored, marked)| {
            let value_marks =
                if marked { BTreeMap::from([("#".to_owned(), MarkVerdict::Suspect)]) } else { BTreeMap::new() };
            let options = NumberOptions { decimal, thousands, censored, value_marks, ..NumberOptions::default() };
            options.check().is_empty().then_some(options)
        },
    )
}

proptest! {
    /// Whatever the bytes are: the digits of the value are those of the cell, in their order.
    #[test]
    fn no_bytes_make_a_value_that_is_not_there(options in any_options(), cell in "[-+−–0-9., '<>#eE\u{a0}]{0,14}") {
        let reader = NumberReader::new(&options, 1);
        let (Reading::Value(value) | Reading::Suspect(value)) = reader.read(cell.as_bytes()) else { return Ok(()) };
        let mut plain = String::new();
        for c in cell.chars() {
            match c {
                '−' | '–' => plain.push('-'),
                '.' | ',' if c == options.decimal => plain.push('.'),
                '0'..='9' | '-' | '+' | 'e' | 'E' => plain.push(c),
                _ => {}
            }
        }
        prop_assert_eq!(plain.parse::<f64>().ok(), Some(value), "{}", cell);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(options in any_options(), cell in prop::collection::vec(any::<u8>(), 0..24)) {
        let _ = NumberReader::new(&options, 1).read(&cell);
    }
}
