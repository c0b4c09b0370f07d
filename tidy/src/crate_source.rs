//! The files of a crate.

use std::collections::BTreeMap;
use std::path::Path;

/// The text of each file of a crate by its path in `src`.
pub type CrateSource = BTreeMap<String, String>;

/// Reads all Rust files of a crate's `src`.
///
/// # Errors
/// The path that cannot be read.
pub fn read_crate(directory: &Path) -> Result<CrateSource, String> {
    let src = directory.join("src");
    let mut files = CrateSource::new();
    let mut directories = vec![src.clone()];
    while let Some(directory) = directories.pop() {
        let failed = |error| format!("{}: {error}", directory.display());
        for entry in directory.read_dir().map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
                let name = path.strip_prefix(&src).unwrap_or(&path).display().to_string().replace('\\', "/");
                files.insert(name, text);
            }
        }
    }
    Ok(files)
}
