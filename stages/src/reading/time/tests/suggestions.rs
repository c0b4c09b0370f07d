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
        ("unix_ms", &["1711843200250000000", "1711843200250000"], "unix_us"),
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
