//! The arrows between crates, read from their manifests.

use std::collections::BTreeSet;
use std::path::Path;

use toml::{Table, Value};

/// The directories of the workspace's members.
///
/// # Errors
/// Why the manifest of the workspace cannot be read.
pub fn members(workspace: &Path) -> Result<Vec<String>, String> {
    let manifest = read(&workspace.join("Cargo.toml"))?;
    let members = manifest.get("workspace").and_then(|workspace| workspace.get("members")).and_then(Value::as_array);
    let members = members.ok_or("the workspace has no members")?;
    Ok(members.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

/// The name of the package in a directory, and the packages among `names` that it depends on, those of its tests too.
///
/// # Errors
/// Why its manifest cannot be read.
pub fn dependencies(directory: &Path, names: &[&str]) -> Result<(String, BTreeSet<String>), String> {
    let manifest = read(&directory.join("Cargo.toml"))?;
    let name = manifest.get("package").and_then(|package| package.get("name")).and_then(Value::as_str);
    let name = name.ok_or_else(|| format!("{} has no name", directory.display()))?;
    let tables = ["dependencies", "dev-dependencies", "build-dependencies"];
    let used = tables.iter().filter_map(|table| manifest.get(*table)?.as_table()).flat_map(Table::keys);
    Ok((name.to_owned(), used.filter(|used| names.contains(&used.as_str())).cloned().collect()))
}

fn read(path: &Path) -> Result<Table, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    text.parse().map_err(|error| format!("{}: {error}", path.display()))
}
