//! Logs: to the console, and to a file of its own for each pipeline that asks for one.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result};
use aqpipe_engine::config::{LogFormat, LogLevel, Pipeline};
use aqpipe_engine::printable::{self, Printable};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::{Context, Filter, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry};

use crate::progress::Bars;

/// The span that a pipeline runs in; its field `name` says which.
pub(crate) const SPAN: &str = "pipeline";
/// The field by which an event from a thread outside that span (librdkafka's) names its pipeline.
const FIELD: &str = "pipeline";

/// What the command line says of logs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Choice {
    /// Instead of the files that the pipelines name: one file for all.
    pub(crate) file: Option<PathBuf>,
    /// JSON on the console too.
    pub(crate) json: bool,
    /// Instead of the levels that the pipelines name.
    pub(crate) level: Option<LogLevel>,
}

/// Sends logs where the pipelines and the command line say.
///
/// # Errors
/// Where a file cannot be opened.
pub(crate) fn start(pipelines: &[Pipeline], choice: &Choice, bars: &Bars) -> Result<()> {
    let levels = pipelines
        .iter()
        .map(|pipeline| (pipeline.name.clone(), level(choice.level.unwrap_or(pipeline.settings.log.level))));
    let levels: Arc<BTreeMap<String, LevelFilter>> = Arc::new(levels.collect());
    let most = levels.values().copied().fold(LevelFilter::INFO, LevelFilter::max);
    let mut layers: Vec<Box<dyn Layer<Registry> + Send + Sync>> = vec![Box::new(Names)];
    let console = Of { pipeline: None, levels: Arc::clone(&levels), most };
    layers.push(layer(Console(bars.clone()), choice.json, console));
    if let Some(path) = &choice.file {
        let all = Of { pipeline: None, levels: Arc::clone(&levels), most };
        layers.push(layer(Append::open(path)?, choice.json, all));
    } else {
        for pipeline in pipelines {
            let Some(path) = &pipeline.settings.log.file else { continue };
            let alone = Of { pipeline: Some(pipeline.name.clone()), levels: Arc::clone(&levels), most };
            layers.push(layer(Append::open(path)?, pipeline.settings.log.format == LogFormat::Json, alone));
        }
    }
    tracing_subscriber::registry().with(layers).try_init().context("logging was started twice")
}

fn layer<W>(writer: W, json: bool, of: Of) -> Box<dyn Layer<Registry> + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let fmt = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(false);
    if json {
        return Box::new(fmt.event_format(Json).with_filter(of));
    }
    Box::new(fmt.event_format(Line).with_filter(of))
}

const fn level(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

/// The name of a pipeline, kept with its span.
struct Name(String);

/// Notes the names of pipelines' spans.
struct Names;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Names {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if attributes.metadata().name() == SPAN
            && let Some(span) = context.span(id)
        {
            let mut found = Find { field: "name", value: None };
            attributes.record(&mut found);
            span.extensions_mut().insert(Name(found.value.unwrap_or_default()));
        }
    }

    /// It looks at no event; without a word here, none would be turned away where it arises, and libraries trace every
    /// message.
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::ERROR)
    }
}

/// Looks for a field.
struct Find {
    field: &'static str,
    value: Option<String>,
}

impl Visit for Find {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == self.field {
            self.value = Some(value.to_owned());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == self.field {
            self.value = Some(format!("{value:?}"));
        }
    }
}

/// The events of one pipeline (or of all), from the level up that the pipeline asks for.
struct Of {
    pipeline: Option<String>,
    levels: Arc<BTreeMap<String, LevelFilter>>,
    /// The least severe level that any pipeline asks for.
    most: LevelFilter,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Filter<S> for Of {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        metadata.is_span() || *metadata.level() <= self.most
    }

    fn event_enabled(&self, event: &Event<'_>, context: &Context<'_, S>) -> bool {
        let from = context
            .event_scope(event)
            .and_then(|mut scope| scope.find_map(|span| span.extensions().get::<Name>().map(|name| name.0.clone())));
        let from = from.or_else(|| named(event));
        if self.pipeline.is_some() && self.pipeline != from {
            return false;
        }
        let level = from.and_then(|name| self.levels.get(&name).copied()).unwrap_or(LevelFilter::INFO);
        *event.metadata().level() <= level
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.most)
    }
}

fn named(event: &Event<'_>) -> Option<String> {
    let mut found = Find { field: FIELD, value: None };
    event.record(&mut found);
    found.value
}

/// `2026-01-31T12:00:00.000000Z  INFO producer: message field=value`
struct Line;

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        SystemTime.format_time(&mut out)?;
        write!(out, " {:>5} ", event.metadata().level())?;
        if let Some(name) = pipeline_of(context, event) {
            write!(Printable(&mut out), "{name}: ")?;
        }
        let mut fields = Fields { out: Printable(out.by_ref()), result: Ok(()) };
        event.record(&mut fields);
        fields.result?;
        writeln!(out)
    }
}

fn pipeline_of<S, N>(context: &FmtContext<'_, S, N>, event: &Event<'_>) -> Option<String>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    let scope = context.event_scope();
    let name =
        scope.and_then(|mut scope| scope.find_map(|span| span.extensions().get::<Name>().map(|name| name.0.clone())));
    name.or_else(|| named(event))
}

/// `{"timestamp":"…","level":"INFO","pipeline":"producer","message":"…","field":…}`
struct Json;

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let mut object = Object(serde_json::Map::new());
        object.put("timestamp", time);
        object.put("level", event.metadata().level().as_str());
        if let Some(name) = pipeline_of(context, event) {
            object.put(FIELD, name);
        }
        event.record(&mut object);
        writeln!(out, "{}", printable::json(&serde_json::Value::Object(object.0).to_string()))
    }
}

/// The fields of an event as JSON; what is there already stays.
struct Object(serde_json::Map<String, serde_json::Value>);

impl Object {
    fn put(&mut self, name: &str, value: impl Into<serde_json::Value>) {
        self.0.entry(name).or_insert_with(|| value.into());
    }
}

impl Visit for Object {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field.name(), format!("{value:?}"));
    }
}

/// The message, then the fields that the line does not begin with already; whatever they hold, they stay on its line.
struct Fields<'w> {
    out: Printable<Writer<'w>>,
    result: fmt::Result,
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if self.result.is_ok() {
            self.result = match field.name() {
                "message" => write!(self.out, "{value:?}"),
                FIELD => Ok(()),
                name => write!(self.out, " {name}={value:?}"),
            };
        }
    }
}

/// A file that several threads append to, a line at a time.
#[derive(Clone)]
struct Append(Arc<Mutex<File>>);

impl Append {
    fn open(path: &Path) -> Result<Append> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file = file.with_context(|| format!("the log file {} cannot be opened", path.display()))?;
        Ok(Append(Arc::new(Mutex::new(file))))
    }
}

impl io::Write for Append {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().map_or(Ok(bytes.len()), |mut file| file.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Append {
    type Writer = Append;

    fn make_writer(&'w self) -> Append {
        self.clone()
    }
}

/// Standard error, around the progress bars where there are any.
#[derive(Clone)]
struct Console(Bars);

impl io::Write for Console {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.beside(|| io::stderr().write_all(bytes)).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl<'w> MakeWriter<'w> for Console {
    type Writer = Console;

    fn make_writer(&'w self) -> Console {
        self.clone()
    }
}
