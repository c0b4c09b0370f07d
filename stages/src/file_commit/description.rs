//! The description of the files for other programs: a `datapackage.json` of Frictionless Data beside the first of them, with a resource
//! for each set of columns.
//!
//! A writer leaves the description of a file under a hidden name beside it before the file is committed. Whoever makes the file visible,
//! be it a process that recovers it, puts the description into the package, unless a file with these columns, by the same version of
//! the pipeline, is there already. One package serves all prefixes of a directory.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use aqpipe_engine::record::Fields;
use aqpipe_engine::stage::PipelineVersion;
use aqpipe_engine::{Error, Result, fault};
use serde_json::{Value, json};

use super::disk;
use super::file_names::FileNames;
use super::generated::GeneratedReadings;
use super::output_dir::OutputDir;
use super::temp_file::TempFile;

/// The name that Frictionless Data gives a package.
const PACKAGE: &str = "datapackage.json";
/// The property that marks packages and resources as aqpipe's.
const MARK: &str = "aqpipe";
/// The property of a resource with the versions of the pipeline that wrote its files: of each the digest, the tests, whether the readings
/// are generated, and the first file.
const MADE_BY: &str = "made_by";
/// Versions that are named: the latest. One that is changed every hour has many.
const MADE_BY_MAX: usize = 100;
/// Sets of columns that are described for a prefix: a topic may bring names without limit.
const DESCRIBED_MAX: usize = 100;
/// A package of ours is small; a larger file is somebody else's.
const PACKAGE_BYTES_MAX: u64 = 16 << 20;

/// The package of a directory.
enum Package {
    Absent,
    Own(Value),
    /// Somebody else wrote it, or changed it beyond recognition.
    Foreign,
}

impl Package {
    fn read(dir: &Path) -> Package {
        let path = dir.join(PACKAGE);
        match path.symlink_metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Package::Absent,
            Ok(found) if found.is_file() && found.len() <= PACKAGE_BYTES_MAX => {}
            _ => return Package::Foreign,
        }
        let read = std::fs::read(&path).ok().and_then(|text| serde_json::from_slice::<Value>(&text).ok());
        match read.filter(|package| package.get(MARK).is_some() && package["resources"].is_array()) {
            Some(package) => Package::Own(package),
            None => Package::Foreign,
        }
    }
}

impl OutputDir {
    /// The same, with a description of the files beside the first.
    #[must_use]
    pub fn described(mut self) -> OutputDir {
        self.describes = true;
        self
    }

    /// Leaves the description of a file that is about to be committed, unless one with these fields, by the same version of the pipeline,
    /// has it: a resource of a data
    /// package without `name` and `path`. Data comes first: where this is not possible, a warning says so.
    pub fn describe(&self, file: &TempFile, fields: &Arc<Fields>, resource: impl FnOnce() -> Value) {
        let wanted = self.describes && !self.is_undescribable.load(Ordering::Relaxed);
        let version = self.extensions.get::<PipelineVersion>();
        let is_generated = self.extensions.get::<GeneratedReadings>().is_some();
        let digest = version.as_ref().map(|version| version.digest.clone());
        if wanted && !self.described.lock().contains(&(Arc::clone(fields), digest.clone())) {
            let mut resource = resource();
            if let Some(version) = version {
                let by = json!({ "digest": version.digest, "generated": is_generated, "tests": version.tests });
                resource[MARK] = json!({ MADE_BY: [by] });
            }
            self.or_warn(self.stage_description(file, fields, digest, &resource));
        }
    }

    fn stage_description(
        &self,
        file: &TempFile,
        fields: &Arc<Fields>,
        digest: Option<String>,
        resource: &Value,
    ) -> Result<()> {
        let _guard = self.lock_directory()?;
        match Package::read(&self.dir) {
            Package::Own(package)
                if self.resources(&package).any(|own| is_same(own, resource) && is_by_the_same(own, resource)) =>
            {
                let mut described = self.described.lock();
                // A digest that comes back is told of again.
                described.retain(|(_, known)| *known == digest);
                described.push((Arc::clone(fields), digest));
                Ok(())
            }
            Package::Own(package)
                if self.resources(&package).count() >= DESCRIBED_MAX
                    && !self.resources(&package).any(|own| is_same(own, resource)) =>
            {
                let message = format!("there are {DESCRIBED_MAX} sets of columns, and no more are described");
                Err(Error::new(message).help("`fields` of the source says which columns there are"))
            }
            Package::Foreign => Err(self.foreign()),
            Package::Own(_) | Package::Absent => {
                disk::stage(&self.dir, &FileNames::description_of(&file.name), &bytes(resource)?)
            }
        }
    }

    /// Puts the description that was left for a file into the package, now that the file is visible.
    pub(super) fn publish_description(&self, hidden_name: &str, visible_name: &str) -> Result<()> {
        let staged = self.dir.join(FileNames::description_of(hidden_name));
        if !self.describes || !staged.exists() {
            return Ok(());
        }
        fault::step("finish.described")?;
        self.or_warn(self.publish(&staged, visible_name));
        Ok(())
    }

    fn publish(&self, staged: &Path, visible_name: &str) -> Result<()> {
        let _guard = self.lock_directory()?;
        let mut package = match Package::read(&self.dir) {
            Package::Own(package) => package,
            Package::Absent => json!({
                "name": "aqpipe",
                "description": "Records of air quality, written by aqpipe. Each resource stands for all files with its columns \
                                whose names begin as that of its file.",
                MARK: { "version": env!("CARGO_PKG_VERSION") },
                "resources": [],
            }),
            Package::Foreign => return Err(self.foreign()),
        };
        // Another process may have published it in this moment.
        let Ok(text) = std::fs::read(staged) else { return Ok(()) };
        let unreadable = |error| Error::new(format!("cannot read `{}`", staged.display())).because(error);
        let described: Value = serde_json::from_slice(&text).map_err(unreadable)?;
        let by = described[MARK][MADE_BY][0].as_object().map(|by| {
            let mut by = by.clone();
            // No time: the same run leaves the same description.
            by.insert("since".to_owned(), json!(visible_name));
            Value::Object(by)
        });
        let own = package["resources"].as_array_mut().into_iter().flatten();
        let known = own.filter(|own| self.is_own(own)).find(|own| is_same(own, &described));
        if let Some(known) = known {
            if let (Some(by), false) = (by, is_by_the_same(known, &described)) {
                let mut all = known[MARK][MADE_BY].as_array().cloned().unwrap_or_default();
                all.push(by);
                let first = all.len().saturating_sub(MADE_BY_MAX);
                known[MARK][MADE_BY] = json!(all[first..]);
                self.write_package(&package)?;
            }
        } else {
            let mut resource = json!({ "name": self.resource_name(&package), "path": visible_name });
            if let (Some(resource), Value::Object(described)) = (resource.as_object_mut(), described) {
                resource.extend(described);
                let mut mark = json!({ "pipeline": &*self.pipeline, "prefix": self.names.prefix });
                if let Some(by) = by {
                    mark[MADE_BY] = json!([by]);
                }
                resource.insert(MARK.to_owned(), mark);
            }
            package["resources"].as_array_mut().into_iter().for_each(|resources| resources.push(resource.clone()));
            self.write_package(&package)?;
        }
        disk::remove(staged).map(drop)
    }

    /// Takes the description of these files out of the package. The caller holds the directory's lock.
    pub(super) fn forget_description(&self) -> Result<()> {
        disk::remove(&self.dir.join(self.names.description()))?;
        self.described.lock().clear();
        self.is_undescribable.store(false, Ordering::Relaxed);
        let Package::Own(mut package) = Package::read(&self.dir) else { return Ok(()) };
        if self.resources(&package).next().is_none() {
            return Ok(());
        }
        let left = package["resources"].as_array_mut().map_or(0, |resources| {
            resources.retain(|resource| !self.is_own(resource));
            resources.len()
        });
        if left == 0 { disk::remove(&self.dir.join(PACKAGE)).map(drop) } else { self.write_package(&package) }
    }

    /// Replaces the package by way of a hidden name.
    fn write_package(&self, package: &Value) -> Result<()> {
        let new = format!("{}.new", self.names.description());
        disk::replace(&self.dir, &new, &bytes(package)?)?;
        let (from, to) = (self.dir.join(new), self.dir.join(PACKAGE));
        std::fs::rename(&from, &to).map_err(|error| disk::path_error("write", &to, error))?;
        disk::sync_dir(&self.dir)
    }

    /// The resources of these files.
    fn resources<'p>(&self, package: &'p Value) -> impl Iterator<Item = &'p Value> {
        package["resources"].as_array().into_iter().flatten().filter(|resource| self.is_own(resource))
    }

    fn is_own(&self, resource: &Value) -> bool {
        resource[MARK]["prefix"] == *self.names.prefix
    }

    /// A name that no resource has: the prefix, in the characters that names of resources have.
    fn resource_name(&self, package: &Value) -> String {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let name: String =
            self.names.prefix.to_ascii_lowercase().chars().map(|c| if fits(c) { c } else { '-' }).collect();
        let taken: Vec<&Value> = package["resources"].as_array().into_iter().flatten().map(|it| &it["name"]).collect();
        let is_free = |name: &String| !taken.iter().any(|taken| **taken == **name);
        let numbered = (2..).map(|number| format!("{name}-{number}"));
        std::iter::once(name.clone()).chain(numbered).find(is_free).unwrap_or_default()
    }

    fn foreign(&self) -> Error {
        Error::new(format!("`{}` is not aqpipe's and stays as it is", self.dir.join(PACKAGE).display()))
            .help("move it away, or turn the description off by `datapackage = false`")
    }

    /// Says once why the files are not described. They are there all the same.
    fn or_warn(&self, done: Result<()>) {
        if let Err(error) = done {
            self.is_undescribable.store(true, Ordering::Relaxed);
            let help = error.help_text().map(|help| format!(": {help}")).unwrap_or_default();
            tracing::warn!("files in `{}` have no description: {error}{help}", self.dir.display());
        }
    }
}

/// Whether a resource of a package says of its files what a description says.
fn is_same(resource: &Value, described: &Value) -> bool {
    ["schema", "dialect"].iter().all(|key| resource[*key] == described[*key])
}

/// Whether the last version of the pipeline that a resource names is that of a description.
fn is_by_the_same(resource: &Value, described: &Value) -> bool {
    let last = resource[MARK][MADE_BY].as_array().and_then(|all| all.last()).unwrap_or(&Value::Null);
    let by = &described[MARK][MADE_BY][0];
    ["digest", "generated"].iter().all(|key| last[*key] == by[*key])
}

fn bytes(json: &Value) -> Result<Vec<u8>> {
    let mut text =
        serde_json::to_vec_pretty(json).map_err(|error| Error::bug("a description is no JSON").because(error))?;
    text.push(b'\n');
    Ok(text)
}
