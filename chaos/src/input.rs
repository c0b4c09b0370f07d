//! The input of a pipeline as text: readings and malformed items as CSV lines and JSON messages, with their positions.

use std::collections::BTreeMap;

use crate::dataset::{Dataset, Item, Reading};

/// The columns of the CSV file.
const INPUT_HEADER: &str = "timestamp,station,seq,checksum,v\n";

/// The position of each reading in the input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct InputPositions {
    /// By reading: its split (the partition, or 0 for the file) and its offset in that split.
    pub(crate) readings: BTreeMap<Reading, (u32, u64)>,
    /// By split: the offset behind its last item.
    pub(crate) ends: BTreeMap<u32, u64>,
}

/// A marker in the text of a malformed item, by which its dead letter is recognised.
fn malformed_tag(id: u64) -> String {
    format!("bad-{id}")
}

/// The id of the malformed item in the bytes of a dead letter.
pub(crate) fn malformed_id(raw: &str) -> Option<u64> {
    let (_, rest) = raw.split_once("bad-")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).map_or(rest, |end| &rest[..end]);
    digits.parse().ok()
}

/// A line of the CSV file, without its end.
pub(crate) fn line(item: Item) -> String {
    match item {
        Item::Valid(reading) => {
            let value = reading.value().map(|value| value.to_string()).unwrap_or_default();
            let (time, key) = (reading.timestamp(), reading.key());
            format!("{time},{key},{},{},{value}", reading.seq, reading.checksum())
        }
        Item::Malformed { id, source } => match id % 3 {
            0 => format!("{},s{source}", malformed_tag(id)),
            1 => format!("{},s{source},1,2,3.0", malformed_tag(id)),
            _ => format!("2024-01-01T00:00:00Z,s{source},1,2,3.0,{}", malformed_tag(id)),
        },
    }
}

/// The value of a message.
pub(crate) fn message(item: Item) -> String {
    match item {
        Item::Valid(reading) => {
            let (time, key, seq, checksum) = (reading.timestamp(), reading.key(), reading.seq, reading.checksum());
            let value = match reading.value() {
                Some(value) => format!(",\"v\":{value}"),
                // Both ways to write a missing value.
                None if reading.seq.is_multiple_of(2) => ",\"v\":null".to_owned(),
                None => String::new(),
            };
            format!("{{\"timestamp\":\"{time}\",\"station\":\"{key}\",\"seq\":{seq},\"checksum\":{checksum}{value}}}")
        }
        Item::Malformed { id, source } => match id % 3 {
            0 => format!("{{\"station\":\"s{source}\",\"note\":\"{}\"", malformed_tag(id)),
            1 => format!("\"{}\"", malformed_tag(id)),
            _ => format!("{{\"station\":\"s{source}\",\"note\":\"{}\",\"seq\":1,\"v\":2.0}}", malformed_tag(id)),
        },
    }
}

/// The whole CSV file, and the positions of its readings, which are byte offsets.
pub(crate) fn file(dataset: Dataset) -> (String, InputPositions) {
    let (mut text, mut positions) = (INPUT_HEADER.to_owned(), InputPositions::default());
    for item in dataset.items() {
        if let Item::Valid(reading) = item {
            positions.readings.insert(reading, (0, text.len() as u64));
        }
        text.push_str(&line(item));
        text.push('\n');
    }
    positions.ends.insert(0, text.len() as u64);
    (text, positions)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATASET: Dataset = Dataset { sources: 3, per_source: 100 };

    #[test]
    fn a_malformed_item_is_known_again_in_every_form() {
        for item in DATASET.items() {
            let texts = [line(item), message(item)];
            match item {
                Item::Valid(_) => assert!(texts.iter().all(|text| malformed_id(text).is_none())),
                Item::Malformed { id, .. } => {
                    assert!(texts.iter().all(|text| malformed_id(text) == Some(id)), "{texts:?}");
                }
            }
        }
    }

    #[test]
    fn the_place_of_a_reading_in_the_file_is_the_byte_of_its_line() {
        let (text, positions) = file(DATASET);
        assert_eq!(positions.readings.len() as u64, DATASET.readings());
        for (reading, (_, at)) in &positions.readings {
            let rest = &text[usize::try_from(*at).expect("small")..];
            assert!(rest.starts_with(&line(Item::Valid(*reading))), "{reading:?}");
        }
        assert_eq!(positions.ends, [(0, text.len() as u64)].into());
    }

    #[test]
    fn a_message_is_the_reading_and_what_is_missing_is_null_or_absent() {
        let mut missing = [false; 2];
        for item in DATASET.items() {
            let Item::Valid(reading) = item else { continue };
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
