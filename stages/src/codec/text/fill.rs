//! How values were filled, as text.

use aqpipe_engine::record::{Batch, CellQuality, Column, Provenance};

/// Appends how a value was filled: `median`, or `forward_fill(2)` with the number of records to the donor.
pub fn write_fill(out: &mut Vec<u8>, quality: CellQuality) {
    let provenance = quality.provenance();
    out.extend_from_slice(provenance.name().as_bytes());
    let distance = quality.distance();
    if distance != 0 || matches!(provenance, Provenance::ForwardFill | Provenance::BackwardFill) {
        out.push(b'(');
        write_small(out, distance);
        out.push(b')');
    }
}

fn write_small(out: &mut Vec<u8>, number: u8) {
    let digits = [number / 100, number / 10 % 10, number % 10].map(|digit| b'0' + digit);
    let zeros = digits.iter().take(2).take_while(|digit| **digit == b'0').count();
    out.extend_from_slice(&digits[zeros..]);
}

/// Parses what [`write_fill`] writes: the provenance, and the number of records to the donor.
#[must_use]
pub fn parse_fill(text: &str) -> Option<(Provenance, u8)> {
    let (name, distance) = match text.strip_suffix(')') {
        None => (text, 0),
        Some(open) => {
            let (name, digits) = open.split_once('(')?;
            (name, digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())??)
        }
    };
    Some((parse_provenance(name)?, distance))
}

/// The provenance of that name.
fn parse_provenance(name: &str) -> Option<Provenance> {
    Provenance::ALL.iter().copied().find(|provenance| provenance.name() == name)
}

/// Appends the fills of a record as `FIELD=FILL` with `;` between them: `T=forward_fill(2);RH=median`. A FILL has
/// neither `=` nor `;` in it, so that the last `=` of a part ends the name. Computed fields are not listed.
pub fn write_fills(out: &mut Vec<u8>, batch: &Batch, row: usize) {
    let start = out.len();
    for (field, column) in batch.fields().list.iter().zip(batch.columns()) {
        let Column::Number(numbers) = column else { continue };
        let quality = numbers.quality_at(row);
        if quality.provenance().is_listed() {
            if out.len() > start {
                out.push(b';');
            }
            out.extend_from_slice(field.name.as_bytes());
            out.push(b'=');
            write_fill(out, quality);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_provenance_and_distance_reads_back() {
        for provenance in Provenance::ALL.iter().copied() {
            for distance in 0..=255 {
                let mut out = Vec::new();
                write_fill(&mut out, CellQuality::MISSING.filled(provenance, distance));
                let text = String::from_utf8(out).expect("ASCII");
                assert_eq!(parse_fill(&text), Some((provenance, distance as u8)), "{text}");
            }
        }
        let mut out = Vec::new();
        write_fill(&mut out, CellQuality::MISSING.filled(Provenance::Median, 0));
        assert_eq!(out, b"median");
    }

    #[test]
    fn other_words_are_no_fill() {
        for text in ["", "mean", "median(", "median()", "median)", "forward_fill(256)", "forward_fill(+1)", "median(1"]
        {
            assert_eq!(parse_fill(text), None, "{text}");
        }
    }
}
