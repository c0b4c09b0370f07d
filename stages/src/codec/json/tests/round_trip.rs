//! What is written reads back as it was.

use std::sync::Arc;

use aqpipe_engine::record::{
    Batch, BatchParts, CellQuality, Column, Field, Fields, Flag, Numbers, Provenance, QcTests,
};
use arrow_array::{Array, Float64Array};
use proptest::collection::{btree_set, vec};
use proptest::option::weighted;
use proptest::prelude::*;

use super::super::{Decoder, DecoderOptions, Encoder, SCORE};
use super::{decode, encode, options};

const TESTS: [&str; 3] = ["gross_range", "a \"quoted\" test", "späte"];

fn tests() -> Arc<QcTests> {
    let tests = QcTests::default();
    TESTS.iter().for_each(|name| _ = tests.bit(name));
    Arc::new(tests)
}

#[derive(Clone, Debug)]
enum Cells {
    Number(Vec<(Option<f64>, CellQuality)>),
    Text(Vec<Option<String>>),
}

fn quality(value: Option<f64>) -> impl Strategy<Value = (Option<f64>, CellQuality)> {
    let flags = match value {
        Some(_) => vec![Flag::Good, Flag::Unknown, Flag::Suspect, Flag::Fail],
        None => vec![Flag::Missing, Flag::Suspect, Flag::Fail],
    };
    (
        prop::sample::select(flags),
        prop::sample::select(Provenance::ALL.to_vec()),
        0..=255u64,
        0..16u32,
        any::<[bool; 2]>(),
    )
        .prop_map(move |(flag, provenance, distance, tests, [filled, tested])| {
            let mut quality = CellQuality::OBSERVED.with_flag(flag);
            if filled && provenance != Provenance::Observed {
                quality = quality.filled(provenance, distance).with_flag(flag);
            }
            (value, if tested { CellQuality(quality.0 | tests << 16) } else { quality })
        })
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>().prop_filter("finite", |number| number.is_finite()),
        (-100_000i32..100_000, 0..6u32).prop_map(|(digits, places)| f64::from(digits) / 10f64.powi(places as i32)),
        Just(-0.0),
    ]
}

fn cells(rows: usize) -> impl Strategy<Value = Cells> {
    prop_oneof![
        3 => vec(weighted(0.8, number()).prop_flat_map(quality), rows).prop_map(Cells::Number),
        1 => vec(weighted(0.7, any::<String>()), rows).prop_map(Cells::Text),
    ]
}

fn batch() -> impl Strategy<Value = Batch> {
    let reserved = |name: &String| !["timestamp", "quality", "station", SCORE].contains(&name.as_str());
    let name = prop_oneof!["[A-Za-z0-9()._ ]{1,8}", any::<String>()].prop_filter("free", reserved);
    (btree_set(name, 0..5), 1..12usize).prop_flat_map(|(names, rows)| {
        let columns = vec((cells(rows), any::<bool>()), names.len());
        let time = vec(-62_135_000_000_000_000i64..253_402_000_000_000_000, rows);
        let offset = vec(prop_oneof![Just(0i16), Just(60), -1439i16..1440], rows);
        let key = weighted(0.5, vec(weighted(0.8, any::<String>()), rows));
        let score = weighted(0.5, vec(weighted(0.8, 0.0..=1.0f64), rows));
        (Just(names), columns, time, offset, key, score).prop_map(|(names, columns, time, offset, key, score)| {
            let mut fields = Fields { key: key.as_ref().map(|_| "station".into()), ..Fields::default() };
            fields.score = score.as_ref().map(|_| SCORE.into());
            let mut list = Vec::new();
            for (name, (cells, derived)) in names.iter().zip(columns) {
                let (field, column) = match cells {
                    Cells::Text(texts) => (Field::text(name), Column::Text(texts.into())),
                    Cells::Number(cells) => {
                        let (values, quality): (Vec<_>, Vec<_>) =
                            cells.into_iter().map(|(v, quality)| (v, quality.0)).unzip();
                        let column = Column::Number(Numbers { values: values.into(), quality: quality.into() });
                        (Field { derived, ..Field::number(name) }, column)
                    }
                };
                fields.list.push(field);
                list.push(column);
            }
            Batch::new(BatchParts {
                fields: Arc::new(fields),
                source_offsets: (0..time.len() as u64).collect::<Vec<_>>().into(),
                time: time.into(),
                utc_offset: offset.into(),
                key: key.map(Into::into),
                columns: list,
                score: score.map(Float64Array::from),
                raw: None,
            })
            .expect("fits")
        })
    })
}

fn options_for(batch: &Batch, tests: &Arc<QcTests>) -> DecoderOptions {
    DecoderOptions {
        key: batch.fields().key.as_deref().map(Into::into),
        declared: Some((**batch.fields()).clone()),
        tests: Arc::clone(tests),
        ..options()
    }
}

/// A row as text that differs wherever rows differ.
fn shown(batch: &Batch, row: usize) -> Vec<String> {
    let mut shown = vec![format!("{} {}", batch.time()[row], batch.utc_offset()[row])];
    shown.push(format!("{:?}", batch.key().map(|key| key.is_valid(row).then(|| key.value(row)))));
    let score = batch.score().filter(|score| score.is_valid(row)).map(|score| score.value(row).to_bits());
    shown.push(format!("{score:?} {}", batch.source_offsets()[row]));
    for (field, column) in batch.fields().list.iter().zip(batch.columns()) {
        shown.push(match column {
            Column::Number(n) => format!("{field:?} {:?} {:?}", n.get(row).map(f64::to_bits), n.quality_at(row)),
            Column::Text(text) => format!("{field:?} {:?}", text.is_valid(row).then(|| text.value(row))),
        });
    }
    shown
}

#[test]
fn a_gap_in_a_derived_field_reads_back_with_its_provenance() {
    let quality = CellQuality::MISSING.filled(Provenance::Derived, 0).with_flag(Flag::Suspect);
    let batch = Batch::new(BatchParts {
        fields: Arc::new(Fields { list: vec![Field { derived: true, ..Field::number("d") }], ..Fields::default() }),
        time: vec![0].into(),
        utc_offset: vec![0].into(),
        key: None,
        columns: vec![Column::Number(Numbers {
            values: Float64Array::from(vec![None]),
            quality: vec![quality.0].into(),
        })],
        score: None,
        source_offsets: vec![0].into(),
        raw: None,
    });
    let (batch, tests) = (batch.expect("fits"), tests());
    let read = decode(&mut Decoder::new(options_for(&batch, &tests)), &encode(&batch, &tests));
    assert_eq!(shown(&read[0], 0), shown(&batch, 0));
}

proptest! {
    #[test]
    fn what_is_written_reads_back_bit_for_bit(batch in batch()) {
        let tests = tests();
        let mut decoder = Decoder::new(options_for(&batch, &tests));
        let read = decode(&mut decoder, &encode(&batch, &tests));
        let read: Vec<_> = read.iter().flat_map(|read| (0..read.rows()).map(|row| shown(read, row))).collect();
        let written: Vec<_> = (0..batch.rows()).map(|row| shown(&batch, row)).collect();
        prop_assert_eq!(read, written);
        prop_assert_eq!(decoder.quality_ignored(), 0);
    }

    #[test]
    fn every_message_is_json_to_others_with_the_same_numbers(batch in batch()) {
        for (row, message) in encode(&batch, &tests()).iter().enumerate() {
            let value: serde_json::Value = serde_json::from_slice(message).expect("JSON");
            let flags = value["quality"]["flags"].as_str().expect("flags").to_owned();
            prop_assert_eq!(flags.len(), batch.columns().len(), "a digit a field");
            let properties = value.as_object().expect("an object").len();
            prop_assert_eq!(properties, 2 + batch.columns().len() + usize::from(batch.key().is_some()));
            for (field, column) in batch.fields().list.iter().zip(batch.columns()) {
                if let Column::Number(numbers) = column {
                    let same = value[&*field.name].as_f64().map(|n| (n * 1e-9) as f32);
                    prop_assert_eq!(same, numbers.get(row).map(|n| (n * 1e-9) as f32));
                }
            }
        }
    }

    #[test]
    fn mutated_messages_are_read_or_rejected_as_serde_json_would(
        batch in batch(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>(), 0..3), 1..4),
    ) {
        let tests = tests();
        let mut decoder = Decoder::new(options_for(&batch, &tests));
        for mut message in encode(&batch, &tests) {
            for (place, byte, how) in &changes {
                let place = place.index(message.len());
                match how {
                    0 => message[place] = *byte,
                    1 => message.insert(place, *byte),
                    _ => _ = message.remove(place),
                }
            }
            agrees_with_serde_json(&mut decoder, &message);
        }
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in vec(any::<u8>(), 0..200)) {
        let mut decoder = Decoder::new(options());
        agrees_with_serde_json(&mut decoder, &bytes);
    }
}

fn agrees_with_serde_json(decoder: &mut Decoder, message: &[u8]) {
    let ours = decoder.push(0, message);
    let theirs = serde_json::from_slice::<serde_json::Value>(message);
    let too_large = theirs.as_ref().is_err_and(|error| error.to_string().contains("out of range"));
    match ours {
        Ok(_) => assert!(theirs.is_ok() || too_large, "{}", String::from_utf8_lossy(message)),
        Err(rejected) if theirs.is_ok() => {
            assert!(!rejected.reason.starts_with("not JSON"), "{rejected}: {}", String::from_utf8_lossy(message));
        }
        Err(rejected) => assert!(rejected.reason.len() < 1_000, "{rejected}"),
    }
    let _ = decoder.take().expect("fits");
}

#[test]
fn a_field_with_the_name_of_another_property_is_written_under_one_of_its_own() {
    for name in ["quality", "timestamp"] {
        let fields = Fields { list: vec![Field::number(name)], ..Fields::default() };
        let batch = Batch::new(BatchParts {
            fields: Arc::new(fields),
            time: vec![0].into(),
            utc_offset: vec![0].into(),
            key: None,
            columns: vec![Column::Number(Numbers::observed(vec![1.0].into()))],
            score: None,
            source_offsets: vec![0].into(),
            raw: None,
        });
        let (mut out, mut ends) = (Vec::new(), Vec::new());
        Encoder::new(tests()).encode(&batch.expect("fits"), &mut out, &mut ends).expect("no name ends anything");
        let written: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
        assert_eq!(written[format!("{name}_")], 1.0, "{written}");
        assert_eq!((written["quality"]["flags"].as_str(), written["timestamp"].is_string()), (Some("2"), true));
    }
}
