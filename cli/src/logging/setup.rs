//! Sets logging up for the pipelines of a command.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use aqpipe_engine::config::{LogFormat, LogLevel, Pipeline};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry};

use super::filter::PipelineFilter;
use super::json::JsonFormat;
use super::pipeline_name::StorePipelineNames;
use super::text::TextFormat;
use super::writer::{Console, LogFile};
use crate::progress::ProgressBars;

/// The log options of the command line; they take precedence over those of the pipelines.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogOverrides {
    /// One file for all pipelines.
    pub(crate) file: Option<PathBuf>,
    /// JSON, on the console too.
    pub(crate) json: bool,
    pub(crate) level: Option<LogLevel>,
}

/// Starts logging to the console and to the files that the pipelines or the command line name.
///
/// # Errors
/// Where a file cannot be opened.
pub(crate) fn start(pipelines: &[Pipeline], overrides: &LogOverrides, bars: &ProgressBars) -> Result<()> {
    let level = |pipeline: &Pipeline| level_filter(overrides.level.unwrap_or(pipeline.settings.log.level));
    let levels: BTreeMap<String, LevelFilter> = pipelines.iter().map(|it| (it.name.clone(), level(it))).collect();
    let max_level = levels.values().copied().fold(LevelFilter::INFO, LevelFilter::max);
    let levels = Arc::new(levels);
    let filter = |pipeline| PipelineFilter { pipeline, levels: Arc::clone(&levels), max_level };
    let mut layers: Vec<Box<dyn Layer<Registry> + Send + Sync>> = vec![Box::new(StorePipelineNames)];
    layers.push(layer(Console(bars.clone()), overrides.json, filter(None)));
    if let Some(path) = &overrides.file {
        layers.push(layer(LogFile::open(path)?, overrides.json, filter(None)));
    } else {
        for pipeline in pipelines {
            let Some(path) = &pipeline.settings.log.file else { continue };
            let json = pipeline.settings.log.format == LogFormat::Json;
            layers.push(layer(LogFile::open(path)?, json, filter(Some(pipeline.name.clone()))));
        }
    }
    tracing_subscriber::registry().with(layers).try_init().context("logging was started twice")
}

fn layer<W>(writer: W, json: bool, filter: PipelineFilter) -> Box<dyn Layer<Registry> + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let fmt = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(false);
    if json {
        return Box::new(fmt.event_format(JsonFormat).with_filter(filter));
    }
    Box::new(fmt.event_format(TextFormat).with_filter(filter))
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
