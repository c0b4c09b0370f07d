//! The code of `docs/stages.md` is that of this crate, which is compiled and tested.

use std::fs;
use std::path::Path;

/// The text of all Rust files below a directory.
fn sources(dir: &Path) -> String {
    let entries = fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path());
    let read = |path: std::path::PathBuf| match path.extension() {
        _ if path.is_dir() => sources(&path),
        Some(rs) if rs == "rs" => fs::read_to_string(&path).expect("readable"),
        _ => String::new(),
    };
    entries.map(read).collect()
}

#[test]
fn every_block_of_code_is_an_excerpt_of_this_crate() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = fs::read_to_string(here.join("../../docs/stages.md")).expect("readable");
    let sources = sources(&here.join("src")) + &sources(&here.join("tests"));
    let blocks: Vec<&str> =
        docs.split("```rust\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default()).collect();
    assert!(blocks.len() >= 10, "{} blocks", blocks.len());
    for block in blocks {
        assert!(sources.contains(block), "this block is not in examples/custom-stage:\n{block}");
    }
}
