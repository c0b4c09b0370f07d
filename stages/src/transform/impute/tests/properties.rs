//! Whatever the gaps, keys, batches and restarts: what comes out is what the plain reference gives.

use std::collections::BTreeMap;

use aqpipe_engine::record::{Batch, CellQuality, Flag, Numbers, Provenance};
use aqpipe_engine::stage::Output;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::step::Step;
use super::{Cell, config, context, reference, series};
use crate::testing::{HOUR, START, timed};

const FIELDS: [&str; 2] = ["a", "b"];
const STEP_OPTIONS: [&str; 3] = ["north", "south", "west"];

#[derive(Clone, Debug)]
struct Record {
    key: usize,
    hours_later: i64,
    cells: [Cell; 2],
}

fn cell() -> impl Strategy<Value = Cell> {
    prop_oneof![
        10 => Just((None, CellQuality::MISSING)),
        8 => (-3..6).prop_map(|value| (Some(f64::from(value)), CellQuality::OBSERVED)),
        1 => (-3..6).prop_map(|value| (Some(f64::from(value) * 0.3), CellQuality::OBSERVED.checked(Flag::Fail, 2))),
        1 => Just((None, CellQuality::OBSERVED.checked(Flag::Fail, 2))),
        1 => (0..9).prop_map(|value| (Some(f64::from(value)), CellQuality::MISSING.filled(Provenance::ForwardFill, 2))),
    ]
}

fn record(keys: usize) -> impl Strategy<Value = Record> {
    let hours = prop_oneof![16 => Just(1_i64), 4 => 0..4_i64, 1 => -2..0_i64, 1 => -12..0_i64, 1 => 4..12_i64];
    (0..keys, hours, [cell(), cell()]).prop_map(|(key, hours_later, cells)| Record { key, hours_later, cells })
}

fn records() -> impl Strategy<Value = Vec<Record>> {
    (1..=STEP_OPTIONS.len()).prop_flat_map(|keys| prop::collection::vec(record(keys), 0..150))
}

fn step() -> impl Strategy<Value = Value> {
    let limit = || prop::option::weighted(0.7, 1..5_u32);
    let span = || prop::option::weighted(0.3, (1..8_u32).prop_map(|hours| f64::from(hours) * 3_600.0));
    prop_oneof![
        (limit(), span(), span()).prop_map(|(limit, max_gap, max_age)| {
            json!({ "method": "forward_fill", "limit": limit, "max_gap": max_gap, "max_age": max_age })
        }),
        (limit(), span(), span()).prop_map(|(limit, max_gap, max_age)| {
            json!({ "method": "backward_fill", "limit": limit, "max_gap": max_gap, "max_age": max_age })
        }),
        (limit(), span(), prop::bool::ANY).prop_map(|(limit, max_gap, by_time)| {
            let by = if by_time { "time" } else { "records" };
            json!({ "method": "interpolate", "limit": limit, "max_gap": max_gap, "by": by })
        }),
        Just(json!({ "method": "median" })),
        (1..5_u32).prop_map(|window| json!({ "method": "median", "window": window })),
        Just(json!({ "method": "median", "over": "expanding" })),
        Just(json!({ "method": "constant", "value": -1.0 })),
    ]
}

/// The records as one batch.
fn whole(records: &[Record]) -> Batch {
    let mut time = START;
    let times: Vec<i64> = records
        .iter()
        .map(|record| {
            time += record.hours_later * HOUR;
            time
        })
        .collect();
    let keys: Vec<&str> = records.iter().map(|record| STEP_OPTIONS[record.key]).collect();
    let values = |field: usize| records.iter().map(|record| record.cells[field].0).collect::<Vec<_>>();
    let (a, b) = (values(0), values(1));
    let mut batch = timed(&times, Some(&keys), &[(FIELDS[0], &a), (FIELDS[1], &b)]);
    for field in 0..2 {
        let quality = records.iter().map(|record| record.cells[field].1.0).collect();
        batch
            .change_numbers(field, |numbers| {
                let (values, nulls, _) = numbers.into_vecs();
                Ok(Numbers::from_vecs(values, nulls, quality))
            })
            .expect("changed");
    }
    batch
}

/// The batch in parts of the lengths given, over and over.
fn parts(whole: &Batch, lengths: &[usize]) -> Vec<Batch> {
    let mut parts = Vec::new();
    let mut from = 0;
    for length in lengths.iter().cycle() {
        if from >= whole.rows() {
            break;
        }
        let rows = (*length).min(whole.rows() - from);
        parts.push(whole.slice(from, rows));
        from += rows;
    }
    parts
}

fn expected(steps: &Value, whole: &Batch) -> BTreeMap<Option<String>, Vec<(u64, Vec<Cell>)>> {
    let steps: Vec<Step> = serde_json::from_value(steps.clone()).expect("fits");
    let mut expected = series(std::slice::from_ref(whole), &FIELDS);
    for rows in expected.values_mut() {
        let time: Vec<i64> = rows.iter().map(|(origin, _)| whole.time()[*origin as usize / 100]).collect();
        for field in 0..FIELDS.len() {
            let cells = rows.iter().map(|(_, cells)| cells[field]).collect();
            let mut series = reference::KeyedSeries { time: &time, cells };
            reference::impute(&steps, &mut series);
            rows.iter_mut().zip(series.cells).for_each(|((_, cells), cell)| cells[field] = cell);
        }
    }
    expected
}

fn check(steps: &Value, whole: &Batch, lengths: &[usize], restarts: &[bool]) -> std::result::Result<(), TestCaseError> {
    let parts = parts(whole, lengths);
    let config = config(steps);
    let cx = context(&*config, &parts);
    let mut impute = config.build(&cx).expect("builds");
    let mut out = Output::default();
    let rows: usize = parts.iter().map(Batch::rows).sum();
    for (part, restart) in parts.into_iter().zip(restarts.iter().cycle()) {
        if *restart {
            let state = impute.save().expect("saves");
            let held = impute.held();
            impute = config.build(&cx).expect("builds");
            impute.restore(&state).expect("restores");
            prop_assert_eq!(impute.held(), held);
        }
        impute.apply(part, &mut out).expect("applies");
    }
    let out_so_far: usize = out.batches.iter().map(Batch::rows).sum();
    prop_assert_eq!(out_so_far + impute.held() as usize, rows, "every row went on or is held");
    impute.finish(&mut out).expect("finishes");
    prop_assert_eq!(impute.held(), 0);
    prop_assert_eq!(series(&out.batches, &FIELDS), expected(steps, whole));
    Ok(())
}

proptest! {
    #[test]
    fn any_steps_give_what_the_reference_gives_wherever_batches_and_runs_end(
        records in records(),
        steps in prop::collection::vec(step(), 1..4),
        lengths in prop::collection::vec(1..60_usize, 1..6),
        restarts in prop::collection::vec(prop::bool::weighted(0.2), 1..8),
    ) {
        check(&json!(steps), &whole(&records), &lengths, &restarts)?;
    }

    #[test]
    fn the_chain_that_ships_gives_what_the_reference_gives_wherever_batches_and_runs_end(
        records in records(),
        lengths in prop::collection::vec(1..60_usize, 1..6),
        restarts in prop::collection::vec(prop::bool::weighted(0.2), 1..8),
    ) {
        let steps = json!([
            { "method": "forward_fill", "limit": 3 },
            { "method": "backward_fill", "limit": 3 },
            { "method": "median" },
        ]);
        check(&steps, &whole(&records), &lengths, &restarts)?;
    }
}
