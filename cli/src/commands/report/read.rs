//! Reads all that the arguments name into one report.

use std::path::{Path, PathBuf};

use anyhow::Result;
use aqpipe_console::numbers::counted;
use aqpipe_console::report::{Aggregator, DataId, Report};
use aqpipe_engine::Error;
use aqpipe_engine::record::QcTests;
use aqpipe_engine::stage::{BuildContext, DeadLetter, Registry};
use jiff::Timestamp;

use super::args::InputArgs;
use super::csv_file::{Layout, MarkColumns};
use super::dialect::Head;
use super::inputs::{Inputs, beside};
use super::marks::MarkReader;
use super::package::{Description, Packages};
use super::pipelines::{Pipelines, origin};
use super::read_source::{is_config, read_all, source};
use super::topic::read_topic;
use super::topic_options::topic_options;
use crate::commands::load;

/// Files that are left out and named: a directory may have thousands.
const LEFT_OUT_TOLD_MAX: u64 = 5;
/// The pipeline that sources are built for: they name it in messages.
const NAME: &str = "report";

/// Reads everything; `None` where a pipeline's file has mistakes, which are printed.
///
/// # Errors
/// Where something cannot be read.
pub(super) fn gather(args: &InputArgs) -> Result<Option<Report>> {
    if args.from.zip(args.to).is_some_and(|(from, to)| from > to) {
        return Err(Error::config("the first day (`--from`) lies behind the last one (`--to`)").into());
    }
    let files = load::Files { files: args.pipeline.clone(), set: args.set.clone() };
    let Some(pipelines) = load::load(&files)? else { return Ok(None) };
    let pipelines = Pipelines(pipelines);
    let mut inputs = Inputs::default();
    args.inputs.iter().try_for_each(|input| inputs.add(input))?;
    if args.inputs.is_empty() {
        pipelines.add_outputs(&mut inputs)?;
    }
    let mut reading = Reading {
        args,
        pipelines: &pipelines,
        registry: Registry::collect()?,
        report: Aggregator::new(args.settings()),
        packages: Packages::default(),
        tests: QcTests::default(),
        is_known: false,
    };
    let files = reading.by_time(&inputs)?;
    std::mem::take(&mut inputs.notes).into_iter().for_each(|note| reading.report.note(note));
    files.iter().try_for_each(|file| reading.file(file))?;
    inputs.topics.iter().try_for_each(|topic| reading.topic(topic))?;
    if !pipelines.0.is_empty() && !reading.is_known {
        let names: Vec<&str> = pipelines.0.iter().map(|pipeline| &*pipeline.name).collect();
        reading.report.note(format!(
            "None of these records are of the pipeline `{}`: its ranges and its digest are left out.",
            names.join("`, `")
        ));
    }
    Ok(Some(reading.report.finish(Timestamp::now().to_string())))
}

struct Reading<'a> {
    args: &'a InputArgs,
    pipelines: &'a Pipelines,
    registry: Registry,
    report: Aggregator,
    packages: Packages,
    /// The tests that files name.
    tests: QcTests,
    /// Whether a pipeline that was given made any of the records.
    is_known: bool,
}

impl Reading<'_> {
    /// The files that have records, in the order of their first ones: times in order take the least memory.
    fn by_time(&mut self, inputs: &Inputs) -> Result<Vec<PathBuf>> {
        let mut files: Vec<(i64, &PathBuf)> = Vec::new();
        let mut left_out = 0_u64;
        for path in &inputs.files {
            match Head::read(path) {
                Ok(Some(head)) => files.push((head.first_second().unwrap_or(i64::MIN), path)),
                Ok(None) => {}
                // A directory may hold other files; one that is named is meant.
                Err(error) if is_config(&error) && !self.args.inputs.contains(path) => {
                    left_out += 1;
                    if left_out <= LEFT_OUT_TOLD_MAX {
                        self.report.note(format!("Left out: {}.", error.headline()));
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        if left_out > LEFT_OUT_TOLD_MAX {
            self.report.note(format!("Left out too: {}.", counted(left_out - LEFT_OUT_TOLD_MAX, "more such file")));
        }
        files.sort();
        Ok(files.into_iter().map(|(_, path)| path.clone()).collect())
    }

    fn file(&mut self, path: &Path) -> Result<()> {
        let Some(head) = Head::read(path)? else { return Ok(()) };
        let description = self.packages.describe(path, &head.columns);
        let pipeline = self.pipelines.of_file(path, &description);
        self.is_known |= pipeline.is_some();
        let fields = pipeline.map(|pipeline| &pipeline.fields);
        let layout = Layout::of(&head, &description, fields, self.args.key.as_deref());
        let options = match layout.source_options(path) {
            Ok(options) => options,
            Err(error) if !self.args.inputs.iter().any(|input| input == path) => {
                self.report.note(format!("Left out: {}.", error.headline()));
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let place = description.prefix.clone().unwrap_or_else(|| place_of(path));
        let origin = origin(pipeline, &description, &place, layout.marks != MarkColumns::None);
        let data = self.report.data(origin);
        let config = source(&self.registry, "csv", options)?;
        let mut marks = MarkReader::new(layout);
        let (report, tests) = (&mut self.report, &self.tests);
        read_all(&*config, &BuildContext::bare(NAME), |batch, dead| {
            unreadable(report, data, &dead);
            let batch = marks.read(batch, tests)?;
            report.observe(data, &batch, &tests.names());
            Ok(())
        })?;
        Ok(())
    }

    fn topic(&mut self, topic: &str) -> Result<()> {
        let options = topic_options(topic, self.args, self.pipelines)?;
        let config = source(&self.registry, "kafka", options)?;
        let pipeline = self.pipelines.writer(topic);
        // One that reads the topic says how.
        self.is_known |= pipeline.is_some() || self.pipelines.reader(topic).is_some();
        let data = self.report.data(origin(pipeline, &Description::default(), topic, true));
        let numeric = pipeline.into_iter().chain(self.pipelines.reader(topic)).flat_map(|one| &one.numeric_fields);
        let cx = BuildContext::bare(NAME).with_until_end().with_numeric_fields(numeric.cloned());
        let report = &mut self.report;
        read_topic(&*config, &cx, |batch, dead| {
            unreadable(report, data, &dead);
            report.observe(data, &batch, &cx.qc_tests().names());
            Ok(())
        })
        .map_err(|error| sought(topic, error))?;
        Ok(())
    }
}

/// The error of a topic that is not there: whoever asks for a report wants to read one, and not to create it.
fn sought(topic: &str, error: Error) -> Error {
    if error.headline() != format!("there is no topic `{topic}`") {
        return error;
    }
    error.help(format!("is the name right? no file or directory is called so either: {}", beside(Path::new(topic))))
}

fn unreadable(report: &mut Aggregator, data: DataId, dead: &[DeadLetter]) {
    for letter in dead {
        let place = letter.place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default();
        report.unreadable(data, &format!("{place}{}", letter.reason));
    }
}

/// The place of a file that nothing describes: its directory.
fn place_of(path: &Path) -> String {
    let dir = path.parent().map(|dir| dir.display().to_string()).unwrap_or_default();
    if dir.is_empty() { "files here".to_owned() } else { dir }
}
