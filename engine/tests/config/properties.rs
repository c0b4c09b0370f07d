//! Whatever the text, loading ends with a pipeline or with diagnostics that can be shown.

use proptest::prelude::*;

use crate::{GOOD, load};

fn ends_well(text: &str, set: &[&str]) {
    match load(text, set) {
        Ok(pipeline) => assert!(!pipeline.warnings.has_errors()),
        Err(problems) => {
            assert!(problems.has_errors(), "an error without one: {text:?}");
            assert!(!problems.render(false).is_empty() && !problems.render(true).is_empty());
        }
    }
}

/// Pieces that matter to TOML, to the environment and to these stages.
fn piece() -> impl Strategy<Value = String> {
    let pieces = [
        "=",
        "[",
        "]",
        "[[transform]]\n",
        "\n",
        "\r\n",
        "\"",
        "'",
        ".",
        ",",
        "{",
        "}",
        "inf",
        "nan",
        "-1",
        "1e999",
        "99999999999999999999",
        "1979-05-27",
        "true",
        "\"${PASSWORD}\"",
        "\"${NONE}\"",
        "\"${LIST}\"",
        "${",
        "$$",
        "ä",
        "\u{0}",
        "type",
        "id",
        "name",
        "steps",
        "min",
        "[source]\n",
        "[sink]\n",
        "transform = 1\n",
        "#",
        "\t",
        "0x7f",
    ];
    prop_oneof![prop::sample::select(pieces.to_vec()).prop_map(str::to_owned), ".{0,6}"]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,200}", set in "\\PC{0,40}") {
        ends_well(&text, &[]);
        ends_well(GOOD, &[&set]);
    }

    #[test]
    fn arbitrary_pieces_never_panic(pieces in prop::collection::vec(piece(), 0..40)) {
        ends_well(&pieces.concat(), &[]);
    }

    #[test]
    fn a_changed_good_pipeline_never_panics(
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0..12_usize, piece()), 1..4),
    ) {
        let mut text = GOOD.to_owned();
        for (at, length, piece) in changes {
            let boundaries: Vec<_> = text.char_indices().map(|(at, _)| at).collect();
            if boundaries.is_empty() {
                break;
            }
            let first = at.index(boundaries.len());
            let end = boundaries.get(first + length).copied().unwrap_or(text.len());
            text.replace_range(boundaries[first]..end, &piece);
        }
        ends_well(&text, &[]);
    }

    #[test]
    fn arbitrary_overrides_of_real_keys_never_panic(
        key in prop::sample::select(vec![
            "source", "source.path", "source.replay", "source.replay.speed", "transform", "transform.0", "transform.1.ranges",
            "transform.fill.steps", "transform.fill.steps.0", "transform.clamp.on_fail", "sink.sort", "name", "delivery",
            "dead_letter", "monitor", "monitor.alerts", "log.level", "unknown", "source.path.deeper", "transform.9.x",
        ]),
        value in prop::collection::vec(piece(), 0..6),
    ) {
        ends_well(GOOD, &[&format!("{key}={}", value.concat())]);
    }
}
