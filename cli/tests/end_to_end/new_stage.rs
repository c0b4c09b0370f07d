//! `aqpipe new-stage`: the crate that it writes.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::TestDir;

/// The template is a stage itself, so its own tests are tests of this program.
#[path = "../../src/commands/new_stage/templates/transform.rs"]
#[expect(unreachable_pub, reason = "it is the library of a crate")]
mod template;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the workspace")
}

fn new_stage(dir: &TestDir, args: &[&str]) -> crate::common::Done {
    let workspace = workspace();
    let engine = ["--engine", workspace.to_str().expect("UTF-8")];
    dir.run(&[&["new-stage", "transform"], args, &engine].concat())
}

#[test]
fn a_crate_is_written_once_with_its_stage_named_throughout() {
    let dir = TestDir::new();
    let done = new_stage(&dir, &["unit_of_mass"]).expect(0, &[]);
    assert!(done.out.contains("cargo run -- stages unit_of_mass\n"), "{}", done.out);
    assert_eq!(dir.files("unit_of_mass"), ["Cargo.lock", "Cargo.toml", "pipeline.toml"]);
    assert!(
        dir.read("unit_of_mass/src/lib.rs").contains("Descriptor::transform::<UnitOfMass>(\"unit_of_mass\", EXAMPLE)")
    );
    assert!(dir.read("unit_of_mass/src/main.rs").contains("use unit_of_mass as _;\n"));
    assert!(dir.read("unit_of_mass/Cargo.toml").contains("aqpipe-engine = { path = \""));
    new_stage(&dir, &["unit_of_mass"]).expect(2, &["error: `unit_of_mass` exists already\n"]);
    new_stage(&dir, &["other", "--dir", "unit_of_mass/src"]).expect(2, &["exists already\n"]);
}

#[test]
fn a_name_that_cannot_be_and_an_engine_that_is_not_there_are_errors_of_usage() {
    let dir = TestDir::new();
    new_stage(&dir, &["impute"]).expect(2, &["error: there is a transform `impute` already\n"]);
    new_stage(&dir, &["Hampel"]).expect(2, &["`Hampel` is not made of words of a-z and 0-9"]);
    dir.run(&["new-stage", "transform", "hampel"]).expect(2, &["has the crates of aqpipe\n", "with `--engine`\n"]);
    dir.run(&["new-stage", "transform", "hampel", "--engine", "."]).expect(2, &["are not in `.`\n"]);
    assert!(!dir.path("hampel").exists());
}

#[test]
#[ignore = "builds a crate, which takes minutes"]
fn a_crate_builds_outside_the_workspace_and_its_stage_runs() {
    let dir = TestDir::new();
    new_stage(&dir, &["hampel"]).expect(0, &[]);
    let cargo = |args: &[&str]| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(dir.path("hampel")).args(args);
        // What is built already of the crates that aqpipe uses is used again.
        cargo.env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target directory"));
        let output = cargo.output().expect("cargo");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let tests = cargo(&["test", "--offline"]);
    assert!(tests.contains("values_are_multiplied_and_missing_ones_stay_missing ... ok"), "{tests}");
    let page = cargo(&["run", "--offline", "--", "stages", "hampel"]);
    assert!(page.contains("transform `hampel`\n") && page.contains("Multiplies the values of a field."), "{page}");
    let records = cargo(&["run", "--offline", "--", "run", "pipeline.toml"]);
    assert_eq!(records.lines().count(), 24, "{records}");
}
