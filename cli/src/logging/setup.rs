//! Sets logging up for the pipelines of a command.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use aqpipe_engine::config::{LogFormat, LogLevel, Pipeline};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::format::DefaultFields;
use tracing_subscriber::fmt::{FormatEvent, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry};

use super::console::Console;
use super::file::LogFile;
use super::filter::PipelineFilter;
use super::json::JsonFormat;
use super::notice_thread::NoticeThread;
use super::pipeline_name::{Instances, StorePipelineNames};
use super::repeats::{HoldRepeats, Repeats};
use super::rotation::Rotation;
use super::terminal_text::TerminalFormat;
use super::text::TextFormat;
use crate::progress::ProgressBars;
use crate::terminal;

/// The log options of the command line; they take precedence over those of the pipelines.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogOverrides {
    /// One file for all pipelines.
    pub(crate) file: Option<PathBuf>,
    /// JSON, on the console too.
    pub(crate) json: bool,
    pub(crate) level: Option<LogLevel>,
}

/// What is logged is logged until this is dropped: then repeated messages that were held back are told.
pub(crate) struct Logging {
    files: LogFiles,
    _notices: NoticeThread,
}

impl Logging {
    /// The files that are written to.
    pub(crate) fn files(&self) -> LogFiles {
        self.files.clone()
    }
}

/// The log files of a process.
#[derive(Clone, Default)]
pub(crate) struct LogFiles(Vec<LogFile>);

impl LogFiles {
    /// Opens all of them anew, whatever became of those that were written to. Returns how many there are.
    pub(crate) fn open_anew(&self) -> usize {
        self.0.iter().for_each(LogFile::open_anew);
        self.0.len()
    }
}

/// Starts logging to the console and to the files that the pipelines or the command line name.
///
/// # Errors
/// Where a file cannot be opened.
pub(crate) fn start(pipelines: &[Pipeline], overrides: &LogOverrides, bars: &ProgressBars) -> Result<Logging> {
    let level = |pipeline: &Pipeline| level_filter(overrides.level.unwrap_or(pipeline.settings.log.level));
    let levels: BTreeMap<String, LevelFilter> = pipelines.iter().map(|it| (it.name.clone(), level(it))).collect();
    let max_level = levels.values().copied().fold(LevelFilter::INFO, LevelFilter::max);
    let levels = Arc::new(levels);
    let filter = |pipeline, is_json| PipelineFilter {
        pipeline,
        levels: Arc::clone(&levels),
        max_level,
        has_status_line: false,
        takes_summary: is_json,
    };
    let (instances, repeats) = (Instances::default(), Repeats::default());
    let notices = NoticeThread::start(repeats.clone()).context("no thread for the log")?;
    let mut layers: Vec<Box<dyn Layer<Registry> + Send + Sync>> =
        vec![Box::new(StorePipelineNames(instances.clone())), Box::new(HoldRepeats(repeats))];
    let console = Console(bars.clone());
    layers.push(match (overrides.json, terminal::is_shown()) {
        (true, _) => layer(console, JsonFormat(instances.clone()), filter(None, true)),
        (false, true) => {
            layer(console, TerminalFormat, PipelineFilter { has_status_line: true, ..filter(None, false) })
        }
        (false, false) => layer(console, TextFormat { instances: None }, filter(None, false)),
    });
    let mut files = LogFiles::default();
    for wanted in wanted_files(pipelines, overrides) {
        let file = LogFile::open(wanted.path, wanted.rotation, wanted.pipeline.clone(), notices.notices())?;
        files.0.push(file.clone());
        let filter = filter(wanted.pipeline, wanted.json);
        layers.push(match wanted.json {
            true => layer(file, JsonFormat(instances.clone()), filter),
            false => layer(file, TextFormat { instances: Some(instances.clone()) }, filter),
        });
    }
    tracing_subscriber::registry().with(layers).try_init().context("logging was started twice")?;
    Ok(Logging { files, _notices: notices })
}

/// A file that gets lines of one pipeline or of all.
struct WantedFile<'a> {
    path: &'a Path,
    pipeline: Option<String>,
    json: bool,
    rotation: Option<Rotation>,
}

fn wanted_files<'a>(pipelines: &'a [Pipeline], overrides: &'a LogOverrides) -> Vec<WantedFile<'a>> {
    let rotation =
        |pipeline: &Pipeline| pipeline.settings.log.rotate.map(|at| Rotation { at, keep: pipeline.settings.log.keep });
    if let Some(path) = &overrides.file {
        let rotation = pipelines.iter().find_map(rotation);
        return vec![WantedFile { path, pipeline: None, json: overrides.json, rotation }];
    }
    let own = pipelines.iter().filter_map(|pipeline| {
        let path = pipeline.settings.log.file.as_deref()?;
        let json = pipeline.settings.log.format == LogFormat::Json;
        Some(WantedFile { path, pipeline: Some(pipeline.name.clone()), json, rotation: rotation(pipeline) })
    });
    own.collect()
}

fn layer<W, F>(writer: W, format: F, filter: PipelineFilter) -> Box<dyn Layer<Registry> + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
    F: FormatEvent<Registry, DefaultFields> + Send + Sync + 'static,
{
    Box::new(
        tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(false).event_format(format).with_filter(filter),
    )
}

const fn level_filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}
