//! Case directories: `pipeline.toml`, the overrides in `set` (one a line) where there are any, and in `stderr` all that
//! is said. `UPDATE_CASES=1 cargo test -p aqpipe-engine --test config` writes what is said now.

use std::path::Path;

use crate::{load, read};

#[test]
fn each_case_is_answered_word_for_word() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let update = std::env::var_os("UPDATE_CASES").is_some();
    let mut cases: Vec<_> = directory.read_dir().expect("cases").map(|entry| entry.expect("entry").path()).collect();
    cases.sort();
    assert!(cases.len() >= 30, "only {} cases in {}", cases.len(), directory.display());
    let mut wrong = Vec::new();
    for case in &cases {
        let set = std::fs::read_to_string(case.join("set")).unwrap_or_default();
        let set: Vec<_> = set.lines().collect();
        let said = match load(&read(&case.join("pipeline.toml")), &set) {
            Ok(pipeline) => {
                let (warnings, name, shape) = (pipeline.warnings.render(false), &pipeline.name, &pipeline.topology);
                format!("{warnings}ok: {name}, {shape}, delivery {}\n", pipeline.delivery)
            }
            Err(diagnostics) => diagnostics.render(false),
        };
        for secret in ["hunter2", "12345678", "x1"] {
            assert!(
                !said.contains(secret),
                "{} repeats a secret or a value of the environment:\n{said}",
                case.display()
            );
        }
        let shown = said.lines().all(|line| aqpipe_engine::printable::line(line) == line);
        assert!(shown, "{} prints what a terminal obeys or does not show:\n{said:?}", case.display());
        let expected = case.join("stderr");
        if update {
            std::fs::write(&expected, &said).expect("written");
        } else if read(&expected) != said {
            wrong.push(format!("{}:\n{said}\ninstead of\n\n{}", case.display(), read(&expected)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
