//! The text of readings and of what is none: lines of a CSV file, and JSON messages; and where each of them stands.

use std::collections::BTreeMap;

use crate::records::{Item, Reading, Shape};

/// The columns of the CSV file.
const HEADER: &str = "timestamp,station,seq,checksum,v\n";

/// Where each reading stands in the input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Places {
    /// By reading: its split (a partition, or 0 for the file) and its position there.
    pub(crate) readings: BTreeMap<Reading, (u32, u64)>,
    /// By split: the position behind its last item.
    pub(crate) ends: BTreeMap<u32, u64>,
}

/// Something malformed, by which it can be known again in a dead letter.
fn mark(id: u64) -> String {
    format!("bad-{id}")
}

/// The number of the malformed item in a dead letter's bytes.
pub(crate) fn marked(raw: &str) -> Option<u64> {
    let (_, rest) = raw.split_once("bad-")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).map_or(rest, |end| &rest[..end]);
    digits.parse().ok()
}

/// A line of the CSV file, without its end.
pub(crate) fn line(item: Item) -> String {
    match item {
        Item::Good(reading) => {
            let value = reading.value().map(|value| value.to_string()).unwrap_or_default();
            let (time, key) = (reading.timestamp(), reading.key());
            format!("{time},{key},{},{},{value}", reading.seq, reading.checksum())
        }
        Item::Bad { id, source } => match id % 3 {
            0 => format!("{},s{source}", mark(id)),
            1 => format!("{},s{source},1,2,3.0", mark(id)),
            _ => format!("2024-01-01T00:00:00Z,s{source},1,2,3.0,{}", mark(id)),
        },
    }
}

/// A message, as its value.
pub(crate) fn message(item: Item) -> String {
    match item {
        Item::Good(reading) => {
            let (time, key, seq, checksum) = (reading.timestamp(), reading.key(), reading.seq, reading.checksum());
            let value = match reading.value() {
                Some(value) => format!(",\"v\":{value}"),
                // Both ways to say that there is none.
                None if reading.seq.is_multiple_of(2) => ",\"v\":null".to_owned(),
                None => String::new(),
            };
            format!("{{\"timestamp\":\"{time}\",\"station\":\"{key}\",\"seq\":{seq},\"checksum\":{checksum}{value}}}")
        }
        Item::Bad { id, source } => match id % 3 {
            0 => format!("{{\"station\":\"s{source}\",\"note\":\"{}\"", mark(id)),
            1 => format!("\"{}\"", mark(id)),
            _ => format!("{{\"station\":\"s{source}\",\"note\":\"{}\",\"seq\":1,\"v\":2.0}}", mark(id)),
        },
    }
}

/// The whole CSV file, and where its readings stand: at their bytes.
pub(crate) fn file(shape: Shape) -> (String, Places) {
    let (mut text, mut places) = (HEADER.to_owned(), Places::default());
    for item in shape.items() {
        if let Item::Good(reading) = item {
            places.readings.insert(reading, (0, text.len() as u64));
        }
        text.push_str(&line(item));
        text.push('\n');
    }
    places.ends.insert(0, text.len() as u64);
    (text, places)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { sources: 3, each: 100 };

    #[test]
    fn a_malformed_item_is_known_again_in_every_form() {
        for item in SHAPE.items() {
            let texts = [line(item), message(item)];
            match item {
                Item::Good(_) => assert!(texts.iter().all(|text| marked(text).is_none())),
                Item::Bad { id, .. } => assert!(texts.iter().all(|text| marked(text) == Some(id)), "{texts:?}"),
            }
        }
    }

    #[test]
    fn the_place_of_a_reading_in_the_file_is_the_byte_of_its_line() {
        let (text, places) = file(SHAPE);
        assert_eq!(places.readings.len() as u64, SHAPE.readings());
        for (reading, (_, at)) in &places.readings {
            let rest = &text[usize::try_from(*at).expect("small")..];
            assert!(rest.starts_with(&line(Item::Good(*reading))), "{reading:?}");
        }
        assert_eq!(places.ends, [(0, text.len() as u64)].into());
    }

    #[test]
    fn a_message_is_the_reading_and_what_is_missing_is_null_or_absent() {
        let mut missing = [false; 2];
        for item in SHAPE.items() {
            let Item::Good(reading) = item else { continue };
            let read: serde_json::Value = serde_json::from_str(&message(item)).expect("JSON");
            assert_eq!(read["station"], reading.key().as_str());
            assert_eq!(read["seq"], reading.seq);
            assert_eq!(read["checksum"], reading.checksum());
            assert_eq!(read.get("v").and_then(serde_json::Value::as_f64), reading.value());
            if reading.value().is_none() {
                missing[usize::from(read.get("v").is_some())] = true;
            }
        }
        assert_eq!(missing, [true; 2]);
    }
}
