//! Saved state, and what a later run makes of it.

use aqpipe_engine::stage::{BuildContext, Fitter, Transform};
use aqpipe_engine::stage::{State, StateChanges};
use serde_json::{Value, json};

use super::super::field_binder::FieldSelection;
use super::super::median_fit::MedianFitter;
use super::super::saved_entries::FORMAT_VERSION;
use super::{apply, column, column_quality, config, finish};
use crate::testing::{HOUR, START, batch, keyed, timed};

fn build(steps: &Value) -> Box<dyn Transform> {
    config(steps).build(&BuildContext::for_tests()).expect("builds")
}

#[test]
fn held_rows_outlive_a_change_of_the_steps() {
    let mut before = build(&json!([{ "method": "forward_fill" }, { "method": "backward_fill" }]));
    apply(&mut *before, batch(&[("x", &[None, None])]));
    let state = before.save().expect("saves");
    let mut after = build(&json!([{ "method": "constant", "value": 3.0 }]));
    after.restore(&state).expect("restores");
    assert_eq!(after.held(), 2);
    let saved_again = after.save().expect("saves");
    let mut later = build(&json!([{ "method": "constant", "value": 4.0 }]));
    later.restore(&saved_again).expect("restores");
    let out = apply(&mut *later, batch(&[("x", &[None])]));
    assert_eq!(column(&out, "x"), [Some(4.0); 3]);
    let out = finish(&mut *after);
    assert_eq!(column(&out, "x"), [Some(3.0); 2], "the end hands them on too");
}

#[test]
fn changed_limits_apply_to_what_was_held() {
    let mut before = build(&json!([{ "method": "backward_fill", "limit": 9 }]));
    apply(&mut *before, batch(&[("x", &[None, None, None])]));
    let mut after = build(&json!([{ "method": "backward_fill", "limit": 1 }]));
    after.restore(&before.save().expect("saves")).expect("restores");
    let out = apply(&mut *after, timed(&[START + 3 * HOUR], None, &[("x", &[Some(5.0)])]));
    assert_eq!(column(&out, "x"), [None, None, Some(5.0), Some(5.0)]);
    assert_eq!(column_quality(&out, "x")[2], "unknown backward_fill(1)");
}

/// A state with one entry changed.
fn with_entry(state: &State, changed: &str, bytes: &[u8]) -> State {
    let mut changes = StateChanges::whole(State::new(FORMAT_VERSION));
    for (name, value) in state.entries(FORMAT_VERSION).expect("this version") {
        changes.put(name, if name == changed { bytes.to_vec() } else { value.to_vec() });
    }
    State::from(changes)
}

fn entries(state: &State) -> Vec<(String, Vec<u8>)> {
    let entries = state.entries(FORMAT_VERSION).expect("this version");
    entries.map(|(name, bytes)| (name.to_owned(), bytes.to_vec())).collect()
}

#[test]
fn damaged_state_and_that_of_another_version_is_an_error_and_no_panic() {
    let steps = json!([
        { "method": "backward_fill" }, { "method": "median", "over": "expanding" }, { "method": "median", "window": 3 },
    ]);
    let mut impute = build(&steps);
    apply(&mut *impute, batch(&[("x", &[Some(1.0), Some(2.0), None])]));
    let state = impute.save().expect("saves");
    for (name, bytes) in entries(&state) {
        for length in 0..bytes.len() {
            let cut = with_entry(&state, &name, &bytes[..length]);
            // A window may end with any field: no field may be known yet when it is saved.
            if build(&steps).restore(&cut).is_ok() {
                assert!(name.contains('p') && length == 0 || name.contains('h'), "{length} bytes of {name}");
            }
        }
        let mut changes = StateChanges::whole(state.clone());
        changes.remove(name.as_str());
        let _ = build(&steps).restore(&State::from(changes));
    }
    let error = build(&steps).restore(&State::of_bytes(99, Vec::new())).expect_err("another version");
    assert!(error.to_string().contains("version 99"), "{error}");
}

#[test]
fn altered_state_is_no_panic() {
    let steps = json!([
        { "method": "forward_fill" }, { "method": "median", "over": "expanding" }, { "method": "median", "window": 3 },
    ]);
    let mut impute = build(&steps);
    apply(&mut *impute, batch(&[("x", &[Some(1.0), Some(2.0), None]), ("y", &[None, None, Some(3.0)])]));
    let state = impute.save().expect("saves");
    for (name, bytes) in entries(&state) {
        for at in 0..bytes.len() {
            for mask in [1, 0x55, 0xff] {
                let mut altered = bytes.clone();
                altered[at] ^= mask;
                let mut impute = build(&steps);
                if impute.restore(&with_entry(&state, &name, &altered)).is_ok() {
                    apply(&mut *impute, batch(&[("x", &[None, Some(4.0)])]));
                    impute.save().expect("saves");
                }
            }
        }
    }
}

#[test]
fn a_checkpoint_saves_what_changed_and_not_what_is_kept() {
    const STATIONS: usize = 200;
    const WINDOW: usize = 100;
    let names: Vec<String> = (0..STATIONS).map(|station| format!("s{station}")).collect();
    let keys: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut impute = build(&json!([{ "method": "forward_fill" }, { "method": "median", "window": WINDOW }]));
    let (mut all, mut saved) = (State::default(), 0);
    for hour in 0..5 * WINDOW {
        let values: Vec<Option<f64>> = (0..STATIONS).map(|station| Some((hour * 7 + station) as f64 / 10.0)).collect();
        apply(&mut *impute, keyed(Some(&keys), &[("x", &values)]));
        let changes = impute.save_changes().expect("saves").expect("tells changes");
        saved += changes.bytes();
        all.apply(changes);
    }
    let kept = impute.save().expect("saves").bytes();
    assert!(all.bytes() < 3 * kept, "{} bytes are kept as {}", kept, all.bytes());
    apply(&mut *impute, keyed(Some(&["s7"]), &[("x", &[Some(1.0)])]));
    let one = impute.save_changes().expect("saves").expect("tells changes").bytes();
    assert!(one < 1_000 && one * 50 < kept, "a record of one station saves {one} bytes of {kept}");
    // A checkpoint of one row a station: the names of two entries, the gap state, and a piece that is half full on average.
    let checkpoints = STATIONS * 5 * WINDOW;
    assert!(saved / checkpoints < 250, "{} bytes a station", saved / checkpoints);
}

#[test]
fn held_rows_are_saved_once() {
    let mut impute = build(&json!([{ "method": "backward_fill" }]));
    let (mut saved, mut last) = (0, 0);
    for _ in 0..400 {
        apply(&mut *impute, batch(&[("x", &[None; 100])]));
        last = impute.save_changes().expect("saves").expect("tells changes").bytes();
        saved += last;
    }
    let kept = impute.save().expect("saves").bytes();
    assert_eq!(impute.held(), 40_000);
    assert!(saved < 12 * kept, "{saved} bytes were saved of {kept} that are held");
    assert!(last < kept / 4, "{last}");
    let changes = impute.save_changes().expect("saves").expect("tells changes");
    assert_eq!(changes.bytes(), 0, "nothing changed");
}

#[test]
fn a_fit_of_too_many_distinct_values_names_what_to_use_instead() {
    let choice = FieldSelection { fields: None, exclude: Vec::new() };
    let column = |from: u32, to: u32| (from..to).map(|n| Some(f64::from(n))).collect::<Vec<_>>();
    let mut fitter = MedianFitter::bounded(choice, 300);
    fitter.observe(&batch(&[("x", &column(0, 7))])).expect("a small table");
    let repeated = column(0, 7).repeat(1000);
    fitter.observe(&batch(&[("x", &repeated)])).expect("the same values take no more");
    assert_eq!(fitter.forecast_bytes(0.01), None, "too little to tell");
    assert!(fitter.forecast_bytes(0.5).is_some_and(|bytes| bytes > 300), "the rest may take as much again");
    assert_eq!(fitter.forecast_bytes(0.99), None);
    let error = fitter.observe(&batch(&[("x", &column(0, 1000))])).expect_err("a thousand are too many");
    let help = error.help_text().unwrap_or_default();
    for word in ["median_memory_mb", "window", "expanding", "constant"] {
        assert!(help.contains(word), "{help}");
    }
}

#[test]
fn the_exact_median_of_a_hundred_stations_fits_its_memory() {
    const STATIONS: usize = 100;
    let names: Vec<String> = (0..STATIONS).map(|station| format!("s{station}")).collect();
    let keys: Vec<&str> = names.iter().map(String::as_str).collect();
    let fields: Vec<String> = (0..13).map(|field| format!("f{field}")).collect();
    let mut fitter = MedianFitter::new(FieldSelection { fields: None, exclude: Vec::new() }, 300);
    for hour in 0..5_000_u32 {
        // No value of a station is there twice, which is as many as there can be.
        let values: Vec<Option<f64>> = (0..STATIONS).map(|_| Some(f64::from(hour))).collect();
        let columns: Vec<(&str, &[Option<f64>])> = fields.iter().map(|name| (name.as_str(), &values[..])).collect();
        fitter.observe(&keyed(Some(&keys), &columns)).expect("fits");
    }
}
