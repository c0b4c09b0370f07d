//! The sources of the workspace keep the rules of this crate.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use aqpipe_tidy::{
    Arrow, ModuleTree, circles, dependencies, glob_imports, logic_in_faces, members, read_crate, upward_arrows,
};

/// The crates, and which of them each may use.
const CRATES: &[(&str, &[&str])] = &[
    ("aqpipe-engine", &[]),
    ("aqpipe-librdkafka", &[]),
    ("aqpipe-tidy", &[]),
    ("aqpipe-stages", &["aqpipe-engine", "aqpipe-librdkafka"]),
    ("aqpipe-console", &["aqpipe-engine"]),
    ("aqpipe-devkafka", &["aqpipe-engine"]),
    ("aqpipe", &["aqpipe-console", "aqpipe-devkafka", "aqpipe-engine", "aqpipe-librdkafka", "aqpipe-stages"]),
    ("custom-stage", &["aqpipe", "aqpipe-engine", "aqpipe-stages"]),
    ("aqpipe-benches", &["aqpipe-librdkafka"]),
    ("aqpipe-chaos", &["aqpipe-devkafka", "aqpipe-librdkafka"]),
];

/// The rooms of the engine from the ground up: each uses only rooms of tiers below its own.
const ENGINE_TIERS: &[&[&str]] = &[
    &["error_class"],
    &[
        "cancel",
        "clock",
        "counts",
        "dead_letter_groups",
        "disk",
        "error",
        "key_fields",
        "nearest",
        "pace",
        "plural",
        "printable",
        "seconds",
        "stage_metrics",
    ],
    &["fault"],
    &["record"],
    &["metrics"],
    &["monitor", "stage"],
    &["config"],
    &["run"],
    &["testing"],
];

/// The rooms of the stages from the ground up.
const STAGES_TIERS: &[&[&str]] = &[
    &["civil_date", "columns", "decimal", "key_parts", "measurement_checks", "per_layout", "warn_once"],
    &["reading"],
    &["cell_access"],
    &["same_time"],
    &["codec", "file_commit", "kafka"],
    &["input"],
    &["source", "transform", "sink", "dead_letter"],
];

/// The crates whose rooms have tiers.
const TIERS: &[(&str, &[&[&str]])] = &[("engine", ENGINE_TIERS), ("stages", STAGES_TIERS)];

/// The files of each circle that is still to be opened. Files only leave this list, and those in no circle must leave it.
const KNOWN_CIRCLES: &[&[&str]] = &[];

/// The faces whose definitions are still to be moved. Files only leave this list, and those without definitions must
/// leave it.
const KNOWN_LOGIC_IN_FACES: &[&str] = &[];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The roots of all crates: the directory of the crate with the modules of its library, or of a program.
fn trees() -> Vec<(String, ModuleTree)> {
    let mut trees = Vec::new();
    for member in members(&workspace()).expect("members") {
        let sources = read_crate(&workspace().join(&member)).expect("sources");
        for root in sources.keys().filter(|path| matches!(path.as_str(), "lib.rs" | "main.rs")) {
            let tree = ModuleTree::parse(root, &sources).unwrap_or_else(|error| panic!("{member}/src: {error}"));
            trees.push((member.clone(), tree));
        }
    }
    assert!(trees.len() >= CRATES.len(), "only {} roots", trees.len());
    trees
}

#[test]
fn crates_use_only_those_below_them() {
    let names: Vec<&str> = CRATES.iter().map(|(name, _)| *name).collect();
    let mut wrong = Vec::new();
    for member in members(&workspace()).expect("members") {
        let (name, used) = dependencies(&workspace().join(&member), &names).expect("a manifest");
        let Some((_, allowed)) = CRATES.iter().find(|(known, _)| *known == name) else {
            wrong.push(format!("{name} is not among the crates of this test"));
            continue;
        };
        let more = used.iter().filter(|used| !allowed.contains(&used.as_str()));
        wrong.extend(more.map(|used| format!("{name} uses {used}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn rooms_use_only_those_below_them() {
    let mut found = Vec::new();
    for (member, tree) in trees() {
        for (_, tiers) in TIERS.iter().filter(|(name, _)| *name == member) {
            found.extend(upward_arrows(&tree, tiers).into_iter().map(|arrow| format!("{member}/src/{arrow}")));
        }
    }
    assert!(found.is_empty(), "arrows that lead up, or along:\n{}", found.join("\n"));
}

#[test]
fn no_files_use_each_other() {
    let mut unneeded: BTreeSet<&str> = KNOWN_CIRCLES.iter().copied().flatten().copied().collect();
    let mut found = Vec::new();
    for (member, tree) in trees() {
        for circle in circles(&tree) {
            let files: Vec<String> = circle.files.iter().map(|file| format!("{member}/src/{file}")).collect();
            unneeded.retain(|known| !files.iter().any(|file| file == known));
            if KNOWN_CIRCLES.iter().any(|known| files.iter().all(|file| known.contains(&file.as_str()))) {
                continue;
            }
            found.push(format!("{}:", files.join(", ")));
            let line = |arrow: &Arrow| format!("    {} -> {} ({})", arrow.from, arrow.to, arrow.ties.join(", "));
            found.extend(circle.arrows.iter().map(line));
        }
    }
    assert!(found.is_empty(), "files in circles:\n{}", found.join("\n"));
    assert!(unneeded.is_empty(), "these files are in no circle, so take them off the list: {unneeded:?}");
}

#[test]
fn no_file_imports_everything_from_a_module() {
    let globs = |(member, tree): &(String, ModuleTree)| -> Vec<String> {
        glob_imports(tree).into_iter().map(|glob| format!("{member}/src/{glob}")).collect()
    };
    let found: Vec<String> = trees().iter().flat_map(globs).collect();
    assert!(found.is_empty(), "imports of everything:\n{}", found.join("\n"));
}

#[test]
fn faces_hold_no_logic() {
    let mut unneeded: BTreeSet<&str> = KNOWN_LOGIC_IN_FACES.iter().copied().collect();
    let mut found = Vec::new();
    for (member, tree) in trees() {
        for logic in logic_in_faces(&tree) {
            let (file, definition) = logic.split_once(": ").unwrap_or((&logic, ""));
            let file = format!("{member}/src/{file}");
            unneeded.remove(file.as_str());
            if !KNOWN_LOGIC_IN_FACES.contains(&file.as_str()) {
                found.push(format!("{file}: {definition}"));
            }
        }
    }
    assert!(found.is_empty(), "definitions in faces:\n{}", found.join("\n"));
    assert!(unneeded.is_empty(), "these faces have no definitions, so take them off the list: {unneeded:?}");
}
