//! What is said of timestamps that are refused.

use super::*;

/// The warnings after some texts, and the reason of the last one that was refused.
fn told(reader: &mut TimeReader, texts: &[&str]) -> (Vec<String>, String) {
    let mut reason = String::new();
    for text in texts {
        reason = read(reader, text).err().unwrap_or(reason);
    }
    (reader.take_warnings(), reason)
}

#[test]
fn the_format_that_would_read_them_is_named_once() {
    for (format, texts, expected) in [
        ("%m/%d/%Y %H:%M", &["03/04/2024 10:00", "25/03/2024 10:00"][..], "%d/%m/%Y %H:%M"),
        ("%d/%m/%Y %H:%M", &["10-03-2004 18:00"], "%d-%m-%Y %H:%M"),
        ("%d/%m/%Y %H.%M.%S", &["10/03/2004 18:00:00", "11/03/2004 19:00:00"], "%d/%m/%Y %H:%M:%S"),
        ("%d/%m/%Y %H:%M", &["10/03/2004 18:00:00"], "%d/%m/%Y %H:%M:%S"),
        ("%d/%m/%Y %H:%M", &["13/03/04 18:00"], "%d/%m/%y %H:%M"),
        ("%d/%m/%Y %H:%M", &["03/25/2004 06:00 PM"], "%m/%d/%Y %I:%M %p"),
        ("%d/%m/%Y %H:%M:%S", &["25/03/2004 18:00:00.5"], "%d/%m/%Y %H:%M:%S%.f"),
        ("%d/%m/%Y", &["2004-03-25T18:00:00+0100"], "iso8601"),
        ("iso8601", &["25/03/2004 18:00"], "%d/%m/%Y %H:%M"),
        ("iso8601", &["2004/03/25 18:00"], "%Y/%m/%d %H:%M"),
        ("iso8601", &["25 Mar 2004, 18:00"], "%d %b %Y, %H:%M"),
        ("iso8601", &["1711843200"], "unix"),
        ("iso8601", &["1711843200.25"], "unix"),
        ("iso8601", &["1711843200250"], "unix_ms"),
        ("unix", &["1711843200250"], "unix_ms"),
        ("unix_ms", &["1711843200"], "unix"),
        ("unix_ms", &["1711843200250000"], "unix_us"),
        ("unix_ms", &["1711843200250000000"], "unix_ns"),
        ("iso8601", &["1711843200250000000"], "unix_ns"),
        ("unix", &["201911052300"], "%Y%m%d%H%M"),
        ("%d/%m/%Y", &["25/03/2004 18:00 UTC"], "%d/%m/%Y %H:%M %z"),
        ("%d/%m/%Y", &["2004-25-03T18:00Z"], "%Y-%d-%mT%H:%M%z"),
        ("%Y-%m-%d %H:%M", &["201911052300"], "%Y%m%d%H%M"),
    ] {
        let mut reader = of_format(format, "UTC");
        let (warnings, reason) = told(&mut reader, texts);
        let named = format!("`format = \"{expected}\"` reads");
        assert!(reason.contains(&named), "{format} {texts:?}: {reason}");
        assert!(warnings.len() == 1 && warnings[0].contains(&named), "{format} {texts:?}: {warnings:?}");
        assert!(told(&mut reader, texts).0.is_empty(), "once");
    }
}

#[test]
fn it_is_said_where_more_than_one_would_read_them_and_what_of_those_that_were_read() {
    let (warnings, _) = told(&mut of_format("iso8601", "UTC"), &["03/04/2024", "05/06/2024"]);
    assert!(warnings[0].contains("`format = \"%d/%m/%Y\"` reads them, and so does `%m/%d/%Y`"), "{warnings:?}");
    let (warnings, _) = told(&mut of_format("%m/%d/%Y", "UTC"), &["03/04/2024", "25/06/2024"]);
    assert!(warnings[0].contains("the wrong way round"), "{warnings:?}");
    let (warnings, _) = told(&mut of_format("%m/%d/%Y", "UTC"), &["03/25/2024", "25/06/2024", "26/06/2024"]);
    assert!(warnings[0].contains("2 timestamps are refused, first `25/06/2024`"), "{warnings:?}");
    assert!(warnings[0].contains("a list of both formats does"), "{warnings:?}");
    for (format, texts) in [
        ("%Y%m%d%H", &["2024022824", "2024123125"][..]),
        ("%Y%m%d%H%M", &["202402282400", "1711843200250"]),
        ("%d.%m.%y", &["11.12.10", "2010-12-11"]),
    ] {
        let (warnings, _) = told(&mut of_format(format, "UTC"), texts);
        assert!(!warnings.concat().contains("the wrong way round"), "{format}: {warnings:?}");
    }
    let (warnings, _) = told(&mut of_format("%m/%d/%Y", "UTC"), &["x", "25/06/2024", ""]);
    assert!(warnings[0].contains("reads 1 of them"), "{warnings:?}");
}

#[test]
fn what_nothing_reads_has_its_reason_and_no_suggestion() {
    for text in [
        "",
        "NA",
        "yesterday",
        "99/99/9999",
        "1e9999",
        "%Y-%m-%d",
        "--",
        "10/03",
        "\u{7f}",
        "Mar",
        "25/03/2004 18:00 CET",
        "25/03/2004 null",
    ] {
        let (warnings, reason) = told(&mut of_format("%d/%m/%Y", "UTC"), &[text]);
        assert!(warnings.is_empty() && !reason.contains("reads it"), "{text}: {warnings:?} {reason}");
    }
}

/// Forty hours, seven hours apart, as a format of the library writes them.
fn cells(format: &str) -> Vec<String> {
    let at = |hour: i64| jiff::Timestamp::from_second(1_678_050_000 + hour * 7 * 3600).expect("in range");
    (0..40).map(|hour| at(hour).strftime(format).to_string()).collect()
}

#[test]
fn styles_of_time_are_named_by_the_one_format_that_reads_them_all() {
    for own in ["iso8601", "%d/%m/%Y %H:%M", "unix"] {
        for format in [
            "%H:%M %d/%m/%Y",
            "%d/%m/%Y %Hh%M",
            "%d/%m/%Y %Hh",
            "%Y年%m月%d日%H時",
            "%Y-%j %H:%M",
            "%Y%j %H%M",
            "%Y%j%H%M",
            "%d%m%Y %H%M",
            "%y%m%d %H%M",
            "%y%m%d%H%M",
            "%d/%m/%Y (%a) %H:%M",
            "%a, %d %b %Y %H:%M",
            "%d/%m/%Y - %H:%M",
            "%b %d, %Y %I:%M %p",
            "%d/%b/%Y:%H:%M:%S",
            "%d.%m.%y %H:%M",
            "%Y%m%d%H%M",
        ] {
            let texts = cells(format);
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let (warnings, _) = told(&mut of_format(own, "UTC"), &texts);
            let expected = format!("`format = \"{format}\"` reads them");
            assert!(warnings.concat().contains(&expected), "{own}, {format} {}: {warnings:?}", texts[0]);
            assert!(!warnings.concat().contains("so do"), "{format}: {warnings:?}");
        }
    }
    // Hours alone, of so many times that they are no minutes.
    for format in ["%y%m%d%H", "%Y%m%d%H", "%y%m%d %H", "%Y.%m.%d %H"] {
        let texts = cells(format);
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        for own in ["iso8601", "unix", "%d/%m/%Y %H", "%d/%m/%Y %H:%M"] {
            let (warnings, _) = told(&mut of_format(own, "UTC"), &texts);
            let expected = format!("`format = \"{format}\"` reads them");
            assert!(warnings.concat().contains(&expected), "{own}, {format} {}: {warnings:?}", texts[0]);
        }
    }
}

#[test]
fn nothing_is_named_that_would_lose_or_move_a_time() {
    for (format, texts) in [
        // Decimal hours, and days of the year with their fraction.
        ("%Y-%m-%d %H", &["2023-01-13 0.5", "2023-01-13 1.5", "2023-01-13 2.25"][..]),
        ("%Y-%m-%d %H", &["2023-01-13 0.50", "2023-01-13 1.50", "2023-01-13 2.00"]),
        ("%Y-%m-%d %H", &["2023-01-13 0.25", "2023-01-13 0.75"]),
        ("%Y %j", &["2004 70.0417", "2004 70.0833"]),
        ("%Y-%j %H", &["2004-70 1.0"]),
        // Half an hour into the first day of the year, and five past midnight.
        ("%Y %j %H:%M", &["2024 1 30"]),
        ("%Y-%m-%d %H:%M", &["2024-01-01 0", "2024-01-01 5"]),
        ("iso8601", &["2024 1 30"]),
        ("iso8601", &["2024 1 3"]),
        ("%Y-%m-%d %H", &["13/01/2023 0.50", "13/01/2023 1.50", "14.01.2023 2.50"]),
        // A time of its own.
        ("%d/%m/%Y %H:%M", &["13/01/2023 00:00:00 30/12/1899 05:00:00", "14/01/2023 00:00:00 30/12/1899 06:00:00"]),
    ] {
        let (warnings, reason) = told(&mut of_format(format, "UTC"), texts);
        assert!(warnings.is_empty() && !reason.contains("reads it"), "{format} {texts:?}: {warnings:?} {reason}");
    }
    let reason = |format: &str, text: &str| read(&mut of_format(format, "UTC"), text).expect_err(text);
    for format in ["iso8601", "unix", "unix_ms", "%d/%m/%Y"] {
        let reason = reason(format, "45292.041667");
        assert_eq!(
            reason.matches("as spreadsheets count days since 1900 it is `2024-01-01 01:00`").count(),
            1,
            "{reason}"
        );
    }
    let (warnings, _) = told(&mut of_format("unix", "UTC"), &["45292.041667", "45292.083333"]);
    assert!(
        warnings.len() == 1 && warnings[0].starts_with("`45292.041667` is no time: as spreadsheets"),
        "{warnings:?}"
    );
    assert!(reason("%Y %j", "2004 70.0417").contains("a fraction of a day, which no format reads"));
    assert!(reason("%Y-%m-%d %H", "2023-01-13 1.0").contains("a fraction of an hour, which no format reads"));
}

#[test]
fn digits_of_other_dates_are_neither_days_of_iso_8601_nor_numbers_since_1970() {
    for (format, text, hint) in [
        ("iso8601", "23030521", "%y%m%d%H"),
        ("iso8601", "19030521", "%y%m%d%H"),
        ("iso8601", "21030521", "%y%m%d%H"),
        ("unix", "2023030521", "%Y%m%d%H"),
        ("unix", "23030521", "%y%m%d%H"),
        ("unix", "20230305", "iso8601"),
        ("unix", "3003052130", ""),
        ("unix_ms", "202303052100", "%Y%m%d%H%M"),
        ("unix_us", "20230305210000", "%Y%m%d%H%M%S"),
        ("%Y%m%d", "23030521", "%y%m%d%H"),
    ] {
        let reason = read(&mut of_format(format, "UTC"), text).expect_err(text);
        let expected = format!("`format = \"{hint}\"` reads it");
        assert!(hint.is_empty() || reason.ends_with(&expected), "{format} {text}: {reason}");
    }
    for (text, expected) in [("19570521", "1957-05-21"), ("20120131", "2012-01-31"), ("20990101", "2099-01-01")] {
        check("iso8601", "UTC", &[(text, &format!("{expected}T00:00:00Z"))]);
    }
    for text in ["1899-12-30", "1899-12-30 05:00", "2303-05-21T00:00", "9999-12-31"] {
        assert!(read(&mut of_format("iso8601", "UTC"), text).is_err(), "{text}");
    }
    check("%Y-%m-%d", "UTC", &[("1772-05-01", "1772-05-01T00:00:00Z")]);
    check("unix", "UTC", &[("86400", "1970-01-02T00:00:00Z")]);
    let mut unset = of_format("unix", "UTC");
    assert!(read(&mut unset, "100").is_ok());
    assert!(unset.take_warnings().concat().contains("by a clock that nobody set"));
}

#[test]
fn hours_of_2020_are_no_longer_read_as_days_once_one_of_them_is_no_day() {
    let mut reader = of_format("iso8601", "UTC");
    assert!(read(&mut reader, "20120101").is_ok(), "a day, for all that is known");
    assert!(reader.take_warnings().concat().contains("`20120101` and the like are read as days"));
    assert!(reader.take_warnings().is_empty(), "once");
    for text in ["20120200", "20120201", "20123023"] {
        read(&mut reader, text).expect_err(text);
    }
    let warnings = reader.take_warnings().concat();
    assert!(warnings.contains("`format = \"%y%m%d%H\"` reads them"), "{warnings}");
    assert!(warnings.contains("these are wrong"), "{warnings}");
    let mut days = of_format("iso8601", "UTC");
    for text in ["20120131", "20120201", "20120202"] {
        assert!(read(&mut days, text).is_ok(), "{text}");
    }
    assert!(days.take_warnings().is_empty(), "the 31st is no hour");
    assert!(read(&mut days, "20120200").is_err() && read(&mut days, "20120203").is_ok(), "a typing error among days");
}

#[test]
fn two_formats_that_read_all_between_them_are_a_list() {
    let (warnings, _) = told(&mut of_format("iso8601", "UTC"), &["25/03/2024 10:00", "26.03.2024 11:00", "x"]);
    assert!(
        warnings.concat().contains("`format = [\"%d/%m/%Y %H:%M\", \"%d.%m.%Y %H:%M\"]` reads 2 of them"),
        "{warnings:?}"
    );
    let (warnings, _) = told(&mut of_format("iso8601", "UTC"), &["25/03/2024", "03/25/2024"]);
    assert!(warnings.is_empty(), "{warnings:?}");
    let mut reader = of_format("iso8601", "UTC");
    assert!(told(&mut reader, &["03/04/2024"]).0[0].contains("and so does"));
    let (warnings, _) = told(&mut reader, &["25/04/2024"]);
    assert!(warnings.is_empty(), "what was named still holds: {warnings:?}");
    let mut reader = of_format("iso8601", "UTC");
    assert!(told(&mut reader, &["25/04/2024 10:00"]).0[0].contains("%d/%m/%Y %H:%M\""));
    let (warnings, _) = told(&mut reader, &["25/04/2024 11:00:00.5", "25/04/2024 12:00"]);
    assert!(warnings.len() == 1, "it is corrected: {warnings:?}");
}
