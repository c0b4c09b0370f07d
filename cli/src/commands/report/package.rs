//! What the data package beside files says of them.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use aqpipe_console::report::{Tested, Threshold, WrittenBy};
use aqpipe_engine::record::FieldTest;
use serde_json::Value;

/// The name that Frictionless Data gives a package.
const PACKAGE: &str = "datapackage.json";
/// A package of ours is small; a larger file is somebody else's.
const PACKAGE_BYTES_MAX: u64 = 16 << 20;

/// The packages of directories that were looked at.
#[derive(Debug, Default)]
pub(super) struct Packages {
    by_dir: HashMap<PathBuf, Value>,
}

/// What a package says of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Description {
    /// The pipeline that wrote it.
    pub(super) pipeline: Option<String>,
    /// How the names of its files begin.
    pub(super) prefix: Option<String>,
    /// The version of aqpipe that described it.
    pub(super) version: Option<String>,
    /// The units of its columns.
    pub(super) units: BTreeMap<String, String>,
    /// Its columns, where those are described.
    pub(super) columns: Option<Vec<Column>>,
    /// The versions of the pipeline that wrote the files, the latest last.
    pub(super) written_by: Vec<WrittenBy>,
}

/// A column as a package describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) part: Part,
}

/// What a column is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Key,
    Score,
    Measurement,
    Derived,
    Text,
    /// A mark, or where the record was read.
    Other,
}

impl Packages {
    /// What is known of a file with these columns.
    pub(super) fn describe(&mut self, file: &Path, columns: &[String]) -> Description {
        let dir = file.parent().unwrap_or(Path::new("."));
        let package = self.by_dir.entry(dir.to_owned()).or_insert_with(|| read(dir));
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let resources = || package["resources"].as_array().into_iter().flatten();
        let begins = |resource: &&Value| {
            let prefix = resource["aqpipe"]["prefix"].as_str();
            prefix.is_some_and(|prefix| name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('_')))
        };
        // Of two prefixes the longer one is meant.
        let length = |resource: &&Value| resource["aqpipe"]["prefix"].as_str().map_or(0, str::len);
        let Some(longest) = resources().filter(begins).map(|resource| length(&resource)).max() else {
            return Description::default();
        };
        let own: Vec<&Value> = resources().filter(begins).filter(|resource| length(resource) == longest).collect();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let resource = own.iter().find(|resource| names(resource).eq(columns.iter().map(String::as_str)));
        Description {
            pipeline: own.first().and_then(|resource| text(&resource["aqpipe"]["pipeline"])),
            prefix: own.first().and_then(|resource| text(&resource["aqpipe"]["prefix"])),
            version: text(&package["aqpipe"]["version"]),
            units: own.iter().flat_map(|resource| units(resource)).collect(),
            columns: resource.map(|resource| parts(resource)),
            // Each set of columns names the versions that wrote such files.
            written_by: written_by(&resource.map_or_else(|| own.clone(), |resource| vec![*resource])),
        }
    }
}

/// The versions of the pipeline that the resources of its files name, one after the other.
fn written_by(resources: &[&Value]) -> Vec<WrittenBy> {
    let all = resources.iter().flat_map(|resource| resource["aqpipe"]["made_by"].as_array().into_iter().flatten());
    let one = |value: &Value| {
        let tests: Vec<FieldTest> = serde_json::from_value(value["tests"].clone()).unwrap_or_default();
        Some(WrittenBy {
            digest: value["digest"].as_str()?.to_owned(),
            since: value["since"].as_str().unwrap_or_default().to_owned(),
            generated: value["generated"] == true,
            thresholds: thresholds(&tests),
            tests: tested(&tests),
        })
    };
    let mut all: Vec<WrittenBy> = all.filter_map(one).collect();
    all.dedup_by(|later, earlier| (&later.digest, later.generated) == (&earlier.digest, earlier.generated));
    all
}

/// The ranges among tests.
pub(super) fn thresholds(tests: &[FieldTest]) -> Vec<Threshold> {
    let threshold = |test: &FieldTest| Threshold {
        stage: test.stage.clone(),
        field: test.field.clone(),
        min: test.min,
        max: test.max,
        suspect_min: test.suspect_min,
        suspect_max: test.suspect_max,
    };
    tests.iter().filter(|test| test.has_bounds()).map(threshold).collect()
}

/// Which fields tests look at.
pub(super) fn tested(tests: &[FieldTest]) -> Vec<Tested> {
    tests.iter().map(|one| Tested { test: one.test.clone(), field: one.field.clone() }).collect()
}

fn read(dir: &Path) -> Value {
    let path = dir.join(PACKAGE);
    let is_small = path.metadata().is_ok_and(|found| found.is_file() && found.len() <= PACKAGE_BYTES_MAX);
    let text = is_small.then(|| std::fs::read(&path).ok()).flatten();
    text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

fn columns(resource: &Value) -> impl Iterator<Item = &Value> {
    resource["schema"]["fields"].as_array().into_iter().flatten()
}

fn names(resource: &Value) -> impl Iterator<Item = &str> {
    columns(resource).map(|column| column["name"].as_str().unwrap_or_default())
}

fn units(resource: &Value) -> impl Iterator<Item = (String, String)> {
    columns(resource)
        .filter_map(|column| Some((column["name"].as_str()?.to_owned(), column["unit"].as_str()?.to_owned())))
}

fn parts(resource: &Value) -> Vec<Column> {
    let part = |column: &Value| {
        let about = column["description"].as_str().unwrap_or_default();
        match column["type"].as_str() {
            Some("string") if about.starts_with("The key of the record") => Part::Key,
            Some("number") if about.starts_with("The quality of the record") => Part::Score,
            Some("number") if about.starts_with("Computed from other fields") => Part::Derived,
            Some("number") => Part::Measurement,
            // Codes of the clock; and columns of flags, and places in a partition, which are no fields.
            Some("integer") if column.get("flags").is_none() && !about.starts_with("Where the record") => Part::Derived,
            Some("string") if about.is_empty() || about.starts_with("Computed from other fields") => Part::Text,
            _ => Part::Other,
        }
    };
    let named =
        |column: &Value| Column { name: column["name"].as_str().unwrap_or_default().to_owned(), part: part(column) };
    columns(resource).map(named).collect()
}
