//! What the files of pipelines say of the output.

use std::collections::BTreeMap;
use std::path::Path;

use aqpipe_console::report::{MadeBy, Origin};
use aqpipe_engine::config::Pipeline;
use aqpipe_engine::{Error, Result};

use super::inputs::Inputs;
use super::package::{Description, tested, thresholds};

/// What `writes` and `reads` of a stage put before the name of a topic.
const TOPIC: &str = "kafka:";

/// The pipelines of a command line.
pub(super) struct Pipelines(pub(super) Vec<Pipeline>);

impl Pipelines {
    /// Takes what their sinks write.
    ///
    /// # Errors
    /// Where a sink writes nothing that can be read back, or its directory is not there.
    pub(super) fn add_outputs(&self, inputs: &mut Inputs) -> Result<()> {
        for pipeline in &self.0 {
            let name = &pipeline.name;
            if let Some((dir, prefix)) = pipeline.sink.config.files(name) {
                let path = Path::new(&dir);
                if !path.is_dir() {
                    return Err(Error::config(format!("there is no directory `{dir}`, into which `{name}` writes"))
                        .help("run the pipeline first; the directory is relative to the working directory"));
                }
                inputs.add_dir(path, &format!("{prefix}_"))?;
                continue;
            }
            let topics = topics(pipeline.sink.config.writes());
            if topics.is_empty() {
                let kind = pipeline.sink.kind;
                return Err(Error::config(format!(
                    "`{name}` writes nothing that can be read back: its sink is `{kind}`"
                ))
                .help("give a directory, a file or a topic"));
            }
            inputs.topics.extend(topics);
        }
        Ok(())
    }

    /// The pipeline that wrote a file, by the description of the file or by its name.
    pub(super) fn of_file(&self, file: &Path, description: &Description) -> Option<&Pipeline> {
        if let Some(pipeline) = &description.pipeline {
            return self.0.iter().find(|one| one.name == *pipeline);
        }
        let name = file.file_name()?.to_string_lossy().into_owned();
        let matching = self.0.iter().filter_map(|pipeline| {
            let (_, prefix) = pipeline.sink.config.files(&pipeline.name)?;
            name.strip_prefix(&*prefix)?.starts_with('_').then_some((prefix.len(), pipeline))
        });
        // Of two prefixes the longer one is meant.
        matching.max_by_key(|(length, _)| *length).map(|(_, pipeline)| pipeline)
    }

    /// The pipeline that writes a topic.
    pub(super) fn writer(&self, topic: &str) -> Option<&Pipeline> {
        self.0.iter().find(|pipeline| topics(pipeline.sink.config.writes()).iter().any(|one| one == topic))
    }

    /// The pipeline that reads a topic.
    pub(super) fn reader(&self, topic: &str) -> Option<&Pipeline> {
        self.0.iter().find(|pipeline| topics(pipeline.source.config.reads()).iter().any(|one| one == topic))
    }
}

fn topics(names: Vec<String>) -> Vec<String> {
    names.into_iter().filter_map(|name| name.strip_prefix(TOPIC).map(str::to_owned)).collect()
}

/// Where records come from that a pipeline may have written.
pub(super) fn origin(pipeline: Option<&Pipeline>, description: &Description, place: &str, has_marks: bool) -> Origin {
    Origin {
        pipeline: pipeline.map(|pipeline| pipeline.name.clone()).or_else(|| description.pipeline.clone()),
        place: place.to_owned(),
        units: if description.units.is_empty() {
            pipeline.map(units).unwrap_or_default()
        } else {
            description.units.clone()
        },
        version: description.version.clone(),
        made_by: pipeline.map(made_by),
        written_by: description.written_by.clone(),
        has_marks,
    }
}

/// The units that its sink gives to a description.
fn units(pipeline: &Pipeline) -> BTreeMap<String, String> {
    let table = pipeline.table_of(&pipeline.sink);
    let units = table["units"].as_object().into_iter().flatten();
    units.filter_map(|(field, unit)| Some((field.clone(), unit.as_str()?.to_owned()))).collect()
}

fn made_by(pipeline: &Pipeline) -> MadeBy {
    let version = pipeline.version();
    MadeBy {
        file: pipeline.path.display().to_string(),
        topology: pipeline.topology.clone(),
        thresholds: thresholds(&version.tests),
        tests: tested(&version.tests),
        digest: version.digest,
    }
}
