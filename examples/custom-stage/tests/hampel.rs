//! The transform `hampel`, tested with the kit.

use aqpipe_engine::record::{Batch, Flag};
use aqpipe_engine::stage::{Registry, Role};
use aqpipe_engine::testing::{BatchBuilder, PipelineHarness, check_transform};
use aqpipe_stages as _;
use custom_stage as _;

const HAMPEL: &str = r#"
[[transform]]
type = "hampel"
field = "T"
radius = 2
min_distance = 0.5
"#;

/// Two stations in turn, the second one warmer, with a spike of the first.
fn temperatures() -> Batch {
    let values = (0..20).map(|row| match row {
        10 => Some(18.0),
        7 => None,
        _ => Some(if row % 2 == 0 { 5.0 } else { 18.0 }),
    });
    BatchBuilder::new().numbers("T", values).key("station", (0..20).map(|row| ["a", "b"][row % 2])).build()
}

fn flags(batches: &[Batch]) -> Vec<Flag> {
    let numbers = batches.iter().filter_map(|batch| batch.numbers(0));
    numbers.flat_map(|numbers| (0..numbers.values.len()).map(|row| numbers.quality_at(row).flag())).collect()
}

#[test]
fn a_spike_of_one_station_is_suspect_and_the_values_of_the_other_are_good() {
    let mut pipeline = PipelineHarness::from_toml(HAMPEL);
    let mut out = pipeline.push(temperatures());
    assert_eq!(pipeline.held(), 4, "the last two values of each station wait");
    out.batches.extend(pipeline.finish().batches);
    let mut expected = vec![Flag::Good; 20];
    (expected[7], expected[10]) = (Flag::Missing, Flag::Suspect);
    assert_eq!(flags(&out.batches), expected);
}

#[test]
fn a_station_that_falls_silent_holds_the_others_back_for_the_lookahead_only() {
    let keys = std::iter::once("silent").chain(std::iter::repeat_n("a", 9));
    let batch = BatchBuilder::new().numbers("T", vec![Some(5.0); 10]).key("station", keys).build();
    let mut pipeline = PipelineHarness::from_toml(&format!("{HAMPEL}lookahead = 5\n"));
    pipeline.push(batch.slice(0, 5));
    assert_eq!(pipeline.held(), 5);
    pipeline.push(batch.slice(5, 5));
    assert_eq!(pipeline.held(), 2);
}

#[test]
fn it_conforms() {
    check_transform(HAMPEL, &[temperatures()]);
    check_transform(&format!("{HAMPEL}lookahead = 3\n"), &[temperatures()]);
}

#[test]
fn the_stages_of_this_crate_are_in_the_registry_beside_those_that_ship() {
    let registry = Registry::collect().expect("stages");
    for name in ["clamp", "hampel", "impute"] {
        assert!(registry.get(Role::Transform, name).is_some(), "{name}");
    }
}
