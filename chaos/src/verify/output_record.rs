//! A record of the output, parsed from a CSV line or from a message.

use serde_json::Value;

use crate::dataset::Reading;

/// The parts of an output record that are verified.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OutputRecord {
    pub(crate) reading: Reading,
    pub(crate) checksum: f64,
    /// In seconds since 1970.
    pub(crate) time: i64,
    pub(crate) value: Option<f64>,
    /// How the value was filled, as written; empty for an observed value.
    pub(crate) fill: String,
    /// The partition and offset it was read from, where the output has them.
    pub(crate) from: Option<(u32, u64)>,
}

/// The header of output files.
pub(crate) const CSV_HEADER: &str = "timestamp,station,seq,checksum,v,qc_flags,fills,tests,partition,offset";

fn whole(text: &str) -> Option<u64> {
    let number: f64 = text.parse().ok()?;
    (number >= 0.0 && number.fract() == 0.0 && number < 1e15).then_some(number as u64)
}

fn source(key: &str) -> Option<u32> {
    key.strip_prefix('s')?.parse().ok()
}

fn seconds(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second)
}

impl OutputRecord {
    /// Parses a line of a file with [`CSV_HEADER`].
    pub(crate) fn from_csv(cells: &csv::StringRecord) -> Option<OutputRecord> {
        let cell = |at: usize| cells.get(at);
        let fills = cell(6)?;
        // For the split of a file the column holds its name.
        let partition = cell(8)?.parse().unwrap_or(0);
        Some(OutputRecord {
            reading: Reading { source: source(cell(1)?)?, seq: whole(cell(2)?)? },
            checksum: cell(3)?.parse().ok()?,
            time: seconds(cell(0)?)?,
            value: match cell(4)? {
                "" => None,
                text => Some(text.parse().ok()?),
            },
            fill: fills.strip_prefix("v=").unwrap_or(fills).to_owned(),
            from: Some((partition, cell(9)?.parse().ok()?)),
        })
    }

    /// Parses a message.
    pub(crate) fn from_message(key: Option<&[u8]>, value: Option<&[u8]>) -> Option<OutputRecord> {
        let read: Value = serde_json::from_slice(value?).ok()?;
        let station = read["station"].as_str()?;
        if key != Some(station.as_bytes()) {
            return None;
        }
        let fills = &read["quality"]["fills"];
        Some(OutputRecord {
            reading: Reading { source: source(station)?, seq: whole(&read["seq"].to_string())? },
            checksum: read["checksum"].as_f64()?,
            time: seconds(read["timestamp"].as_str()?)?,
            value: read["v"].as_f64(),
            fill: fills["v"].as_str().unwrap_or_default().to_owned(),
            from: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_and_a_message_of_one_record_are_the_same_row() {
        let cells = csv::StringRecord::from(vec![
            "2024-01-01T12:00:00+00:00",
            "s3",
            "17",
            "4000000000",
            "2.5",
            "q222",
            "v=forward_fill(1)",
            "",
            "2",
            "99",
        ]);
        let line = OutputRecord::from_csv(&cells).expect("a row");
        let message = r#"{"timestamp":"2024-01-01T12:00:00Z","station":"s3","seq":17,"checksum":4000000000,"v":2.5,
            "quality":{"flags":"222","fills":{"v":"forward_fill(1)"}}}"#;
        let message = OutputRecord::from_message(Some(b"s3"), Some(message.as_bytes())).expect("a row");
        assert_eq!(line, OutputRecord { from: Some((2, 99)), ..message });
        assert_eq!(line.reading, Reading { source: 3, seq: 17 });
    }

    #[test]
    fn what_is_no_record_of_ours_is_no_row() {
        let other = br#"{"timestamp":"2024-01-01T12:00:00Z","station":"s3","seq":1.5,"checksum":4}"#;
        assert_eq!(OutputRecord::from_message(Some(b"s3"), Some(other)), None);
        let keyless = br#"{"timestamp":"2024-01-01T12:00:00Z","station":"s3","seq":1,"checksum":4}"#;
        assert_eq!(OutputRecord::from_message(None, Some(keyless)), None, "the key of a message is the station");
        assert_eq!(OutputRecord::from_message(Some(b"s3"), None), None);
    }
}
