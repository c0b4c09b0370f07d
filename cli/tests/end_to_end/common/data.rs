//! Generated input, and the pipelines that ship.

use std::fmt::Write as _;
use std::path::Path;

pub(crate) use aqpipe_stages::UCI_FIELDS;

/// A pipeline that ships.
pub(crate) fn shipped(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pipelines").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A file in the format of the UCI data set: hourly, decimal commas, two empty columns at the end, -200 for missing values,
/// lines of delimiters at the end. Every hundredth record has an `NOx(GT)` above 1000.
pub(crate) fn uci(records: usize) -> String {
    let mut text = format!("Date;Time;{};;\r\n", UCI_FIELDS.join(";"));
    let start: jiff::civil::DateTime = "2004-03-10T18:00:00".parse().expect("a time");
    for record in 0..records {
        let time = start + jiff::Span::new().hours(i64::try_from(record).expect("small"));
        let _ = write!(text, "{}", time.strftime("%d/%m/%Y;%H.%M.%S"));
        for (index, field) in UCI_FIELDS.iter().enumerate() {
            // Gaps of one to five records, at different places in each field.
            let place = (record + 17 * index) % 41;
            let value = (record * 7 + index * 13) % 397;
            match *field {
                _ if place < 1 + index % 5 && record > 0 => text.push_str(";-200"),
                "NOx(GT)" if record % 100 == 99 => text.push_str(";1200"),
                "NOx(GT)" | "NO2(GT)" | "NMHC(GT)" => {
                    let _ = write!(text, ";{value}");
                }
                field if field.starts_with("PT08") => {
                    let _ = write!(text, ";{}", 600 + value);
                }
                _ => {
                    let _ = write!(text, ";{},{}", value / 10, value % 10);
                }
            }
        }
        text.push_str(";;\r\n");
    }
    for _ in 0..3 {
        text.push_str(";;;;;;;;;;;;;;;;\r\n");
    }
    text
}
