//! A stage's configuration, which is its public face, and how it registers itself.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use schemars::{JsonSchema, Schema};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::repeat::Repeat;
use super::{
    BuildContext, DeadLetterDecoder, DeadLetterReader, DeadLetterSink, Fitter, Sink, Source, SplitState, Transform,
};
use crate::error::Result;
use crate::record::Fields;

/// What a stage is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Where records come from.
    Source,
    /// What is done to them.
    Transform,
    /// Where they go.
    Sink,
    /// Where those go that could not be carried.
    DeadLetter,
}

impl Role {
    /// All roles, in the order of the data.
    pub const ALL: [Role; 4] = [Role::Source, Role::Transform, Role::Sink, Role::DeadLetter];

    /// The key of its table in a pipeline.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Role::Source => "source",
            Role::Transform => "transform",
            Role::Sink => "sink",
            Role::DeadLetter => "dead_letter",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::DeadLetter => "dead letter",
            other => other.key(),
        })
    }
}

/// Something wrong in a stage's configuration that its schema cannot say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The keys (and indices) that lead from the stage's table to the value; empty for the table itself.
    pub path: Vec<String>,
    /// Whether to point at the last key rather than at its value.
    pub at_key: bool,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// A word under the place, such as "did you mean `max`?".
    pub label: Option<String>,
    /// What to do about it.
    pub help: Option<String>,
    /// Whether it only deserves a warning.
    pub warning: bool,
}

impl Problem {
    /// A problem of the value at `path`.
    pub fn new<S: Into<String>>(path: impl IntoIterator<Item = S>, message: impl Into<String>) -> Problem {
        Problem {
            path: path.into_iter().map(Into::into).collect(),
            at_key: false,
            message: message.into(),
            label: None,
            help: None,
            warning: false,
        }
    }

    /// The same, pointing at the key.
    #[must_use]
    pub fn at_key(mut self) -> Problem {
        self.at_key = true;
        self
    }

    /// The same, with a word under the place.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Problem {
        self.label = Some(label.into());
        self
    }

    /// The same, with what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Problem {
        self.help = Some(help.into());
        self
    }

    /// The same as a warning: it stops nothing.
    #[must_use]
    pub fn warning(mut self) -> Problem {
        self.warning = true;
        self
    }

    /// The problem of a field that no earlier stage yields, pointing at the value (or, `at_key`, the key) that names
    /// it, with a suggestion where a field has a similar name. `None` where the field is there, or may still come.
    pub fn unknown_field<S: Into<String>>(
        path: impl IntoIterator<Item = S>,
        name: &str,
        input: &Fields,
    ) -> Option<Problem> {
        if input.open || input.index(name).is_some() {
            return None;
        }
        let problem = Problem::new(path, format!("there is no field `{name}` here: no stage before this one has it"));
        let names = || input.names().collect::<Vec<_>>().join("`, `");
        Some(match crate::nearest::nearest(name, input.names()) {
            Some(near) => problem.label(format!("did you mean `{near}`?")),
            None if input.list.is_empty() => problem,
            None => problem.help(format!("the fields here are `{}`", names())),
        })
    }
}

/// What readers of the output see after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// Nothing is lost; what was under way may be there twice.
    AtLeastOnce,
    /// Nothing is lost and nothing is there twice.
    ExactlyOnce,
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Delivery::AtLeastOnce => "at_least_once",
            Delivery::ExactlyOnce => "exactly_once",
        })
    }
}

/// When a sink wants its splits cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointPolicy {
    /// After so many records read, or when the first of them has waited so long: an output a checkpoint.
    Records {
        /// Records read in a checkpoint.
        most: u64,
        /// How long a checkpoint may wait to be filled.
        timeout: Duration,
    },
    /// Every `commit_interval_ms` of the pipeline.
    Interval,
}

/// What a sink says to a completed pipeline that is run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rerun {
    /// The records are written once more.
    Append,
    /// What is there would have to be overwritten: refuse.
    Refuse,
}

/// What source, transform, sink and dead-letter configurations have in common.
macro_rules! config_trait {
    ($(#[$doc:meta])* $config:ident, $any:ident { $($body:tt)* } erased { $($erased:tt)* } forward { $($forward:tt)* }) => {
        $(#[$doc])*
        ///
        /// The type's doc comment is the stage's documentation, its fields (with their doc comments) are the options.
        /// It carries `#[serde(deny_unknown_fields)]`, and never `flatten`, `tag`, `untagged` or `alias`: they lose
        /// the position of an error.
        pub trait $config: DeserializeOwned + JsonSchema + Send + Sync + 'static {
            /// What `type` says in TOML.
            const NAME: &'static str;
            /// The stage's table in TOML, without its header, as `aqpipe stages NAME` shows it. `validate` accepts it.
            const EXAMPLE: &'static str;
            /// The options that do not decide what comes out: where it goes and how fast, who is asked for it. A completed
            /// run is not repeated because one of them was changed.
            const BESIDE_CONTENT: &'static [&'static str] = &[];
            $($body)*
        }

        /// The object-safe face of the configuration; implemented for every one.
        pub trait $any: Send + Sync {
            /// The name of its stage.
            fn name(&self) -> &'static str;
            $($erased)*
        }

        impl<C: $config> $any for C {
            fn name(&self) -> &'static str {
                C::NAME
            }
            $($forward)*
        }
    };
}

config_trait! {
    /// The configuration of a source.
    SourceConfig, AnySource {
        /// The fields it yields, as far as the configuration says. Pure: no I/O.
        ///
        /// # Errors
        /// What the schema cannot say.
        fn check(&self) -> Result<Fields, Vec<Problem>>;

        /// Whether it ends by itself and can be read from the beginning twice: transforms may survey such a source.
        fn bounded(&self) -> bool;

        /// When a completed run is repeated from the beginning. A source that remembers where it was (a consumer group)
        /// just goes on: `None`.
        fn rerun(&self) -> Option<Repeat>;

        /// The best delivery that it can do its part of; a pipeline gets the least of its ends.
        fn delivery(&self) -> Delivery {
            Delivery::ExactlyOnce
        }

        /// What it reads, in the same words as [`SinkConfig::writes`], so that pipelines of one run know of each
        /// other.
        fn reads(&self) -> Vec<String> {
            Vec::new()
        }

        /// How fast the records are to be replayed in event time, where they are.
        fn pace(&self) -> Option<crate::pace::Pace> {
            None
        }

        /// What reads its records from their bytes alone, so that dead letters can be replayed.
        ///
        /// # Errors
        /// Where that needs something that is not there.
        fn dead_letter_decoder(&self, _cx: &BuildContext) -> Result<Option<Box<dyn DeadLetterDecoder>>> {
            Ok(None)
        }

        /// The place, for a person, where a split goes on from there, where that says more: `data.csv:17`.
        fn describe_state(&self, _state: &SplitState) -> Option<String> {
            None
        }

        /// Builds it. May look at files, must not wait for a network.
        ///
        /// # Errors
        /// Stops the pipeline before it starts.
        fn build(&self, cx: &BuildContext) -> Result<Box<dyn Source>>;
    } erased {
        /// See [`SourceConfig::check`].
        #[expect(clippy::missing_errors_doc, reason = "said there")]
        fn check(&self) -> Result<Fields, Vec<Problem>>;
        /// See [`SourceConfig::bounded`].
        fn bounded(&self) -> bool;
        /// See [`SourceConfig::rerun`].
        fn rerun(&self) -> Option<Repeat>;
        /// See [`SourceConfig::delivery`].
        fn delivery(&self) -> Delivery;
        /// See [`SourceConfig::reads`].
        fn reads(&self) -> Vec<String>;
        /// See [`SourceConfig::pace`].
        fn pace(&self) -> Option<crate::pace::Pace>;
        /// See [`SourceConfig::dead_letter_decoder`].
        #[expect(clippy::missing_errors_doc, reason = "said there")]
        fn dead_letter_decoder(&self, cx: &BuildContext) -> Result<Option<Box<dyn DeadLetterDecoder>>>;
        /// See [`SourceConfig::describe_state`].
        fn describe_state(&self, state: &SplitState) -> Option<String>;
        /// See [`SourceConfig::build`].
        #[expect(clippy::missing_errors_doc, reason = "said there")]
        fn build(&self, cx: &BuildContext) -> Result<Box<dyn Source>>;
    } forward {
        fn delivery(&self) -> Delivery {
            C::delivery(self)
        }
        fn check(&self) -> Result<Fields, Vec<Problem>> {
            C::check(self)
        }
        fn bounded(&self) -> bool {
            C::bounded(self)
        }
        fn rerun(&self) -> Option<Repeat> {
            C::rerun(self)
        }
        fn reads(&self) -> Vec<String> {
            C::reads(self)
        }
        fn pace(&self) -> Option<crate::pace::Pace> {
            C::pace(self)
        }
        fn dead_letter_decoder(&self, cx: &BuildContext) -> Result<Option<Box<dyn DeadLetterDecoder>>> {
            C::dead_letter_decoder(self, cx)
        }
        fn describe_state(&self, state: &SplitState) -> Option<String> {
            C::describe_state(self, state)
        }
        fn build(&self, cx: &BuildContext) -> Result<Box<dyn Source>> {
            C::build(self, cx)
        }
    }
}

config_trait! {
    /// The configuration of a transform.
    TransformConfig, AnyTransform {
        /// The fields that leave it, given those that come in. Pure: no I/O.
        ///
        /// # Errors
        /// What the schema cannot say: min above max, a field that no earlier stage yields.
        fn check(&self, input: &Fields) -> Result<Fields, Vec<Problem>>;

        /// The fields it uses as measurements, as far as the configuration names them.
        fn numeric_fields(&self) -> Vec<String> {
            Vec::new()
        }

        /// Whether it may turn rows into dead letters.
        fn rejects(&self) -> bool {
            false
        }

        /// A survey, where it must see the whole input before it can start. It needs a bounded source.
        fn fitter(&self, _cx: &BuildContext) -> Option<Box<dyn Fitter>> {
            None
        }

        /// The key that asks for a survey and what to use instead where the source is unbounded, for the message.
        fn requires_bounded(&self) -> Option<Problem> {
            None
        }

        /// Builds it, once a split.
        ///
        /// # Errors
        /// Stops the pipeline.
        fn build(&self, cx: &BuildContext) -> Result<Box<dyn Transform>>;
    } erased {
        /// See [`TransformConfig::check`].
        #[expect(clippy::missing_errors_doc, reason = "said there")]
        fn check(&self, input: &Fields) -> Result<Fields, Vec<Problem>>;
        /// See [`TransformConfig::numeric_fields`].
        fn numeric_fields(&self) -> Vec<String>;
        /// See [`TransformConfig::rejects`].
        fn rejects(&self) -> bool;
        /// See [`TransformConfig::fitter`].
        fn fitter(&self, cx: &BuildContext) -> Option<Box<dyn Fitter>>;
        /// See [`TransformConfig::requires_bounded`].
        fn requires_bounded(&self) -> Option<Problem>;
        /// See [`TransformConfig::build`].
        #[expect(clippy::missing_errors_doc, reason = "said there")]
        fn build(&self, cx: &BuildContext) -> Result<Box<dyn Transform>>;
    } forward {
        fn check(&self, input: &Fields) -> Result<Fields, Vec<Problem>> {
            C::check(self, input)
        }
        fn numeric_fields(&self) -> Vec<String> {
            C::numeric_fields(self)
        }
        fn rejects(&self) -> bool {
            C::rejects(self)
        }
        fn fitter(&self, cx: &BuildContext) -> Option<Box<dyn Fitter>> {
            C::fitter(self, cx)
        }
        fn requires_bounded(&self) -> Option<Problem> {
            C::requires_bounded(self)
        }
        fn build(&self, cx: &BuildContext) -> Result<Box<dyn Transform>> {
            C::build(self, cx)
        }
    }
}

config_trait! {
    /// The configuration of a sink.
    SinkConfig, AnySink {
        /// Checks it against the fields that arrive. Pure: no I/O.
        ///
        /// # Errors
        /// What the schema cannot say.
        fn check(&self, input: &Fields) -> Result<(), Vec<Problem>>;

        /// When it wants its splits cut.
        fn checkpoint_policy(&self) -> CheckpointPolicy;

        /// What it says to a completed pipeline that is run again.
        fn rerun(&self) -> Rerun {
            Rerun::Append
        }

        /// The best delivery that it can do its part of; a pipeline gets the least of its ends.
        fn delivery(&self) -> Delivery {
            Delivery::ExactlyOnce
        }

        /// What it writes: `kafka:topic`, where a source of the same run may read it.
        fn writes(&self) -> Vec<String> {
            Vec::new()
        }

        /// The directory and the prefix of its files, where it writes files, in a pipeline of that name.
        fn files(&self, _pipeline: &str) -> Option<(String, String)> {
            None
        }

        /// Builds it. May look at files, must not wait for a network.
        ///
        /// # Errors
        /// Stops the pipeline before it starts.
        fn build(&self, cx: &BuildContext) -> Result<Arc<dyn Sink>>;
    } erased {
        /// See [`SinkConfig::check`].
        #[expect(clippy::missing_errors_doc, reason = "said there")]
        fn check(&self, input: &Fields) -> Result<(), Vec<Problem>>;
        /// See [`SinkConfig::checkpoint_policy`].
        fn checkpoint_policy(&self) -> CheckpointPolicy;
        /// See [`SinkConfig::rerun`].
        fn rerun(&self) -> Rerun;
        /// See [`SinkConfig::delivery`].
        fn delivery(&self) -> Delivery;
        /// See [`SinkConfig::writes`].
        fn writes(&self) -> Vec<String>;
        /// See [`SinkConfig::files`].
        fn files(&self, pipeline: &str) -> Option<(String, String)>;
        /// See [`SinkConfig::build`].
        #[expect(clippy::missing_errors_doc, reason = "said there")]
        fn build(&self, cx: &BuildContext) -> Result<Arc<dyn Sink>>;
    } forward {
        fn delivery(&self) -> Delivery {
            C::delivery(self)
        }
        fn check(&self, input: &Fields) -> Result<(), Vec<Problem>> {
            C::check(self, input)
        }
        fn checkpoint_policy(&self) -> CheckpointPolicy {
            C::checkpoint_policy(self)
        }
        fn rerun(&self) -> Rerun {
            C::rerun(self)
        }
        fn writes(&self) -> Vec<String> {
            C::writes(self)
        }
        fn files(&self, pipeline: &str) -> Option<(String, String)> {
            C::files(self, pipeline)
        }
        fn build(&self, cx: &BuildContext) -> Result<Arc<dyn Sink>> {
            C::build(self, cx)
        }
    }
}

config_trait! {
    /// The configuration of a `[dead_letter]`.
    DeadLetterConfig, AnyDeadLetter {
        /// Checks it. Pure: no I/O.
        ///
        /// # Errors
        /// What the schema cannot say.
        fn check(&self) -> Result<(), Vec<Problem>>;

        /// The best delivery that it can do its part of; a pipeline gets the least of its ends.
        fn delivery(&self) -> Delivery {
            Delivery::ExactlyOnce
        }

        /// As [`SinkConfig::writes`].
        fn writes(&self) -> Vec<String> {
            Vec::new()
        }

        /// What reads the letters that lie there.
        ///
        /// # Errors
        /// Where they cannot be read.
        fn dead_letter_reader(&self, _cx: &BuildContext) -> Result<Option<Box<dyn DeadLetterReader>>> {
            Ok(None)
        }

        /// The directory and the prefix of its files, where it writes files, in a pipeline of that name.
        fn files(&self, _pipeline: &str) -> Option<(String, String)> {
            None
        }

        /// Builds it. May look at files, must not wait for a network.
        ///
        /// # Errors
        /// Stops the pipeline before it starts.
        fn build(&self, cx: &BuildContext) -> Result<Arc<dyn DeadLetterSink>>;
    } erased {
        /// See [`DeadLetterConfig::check`].
        #[expect(clippy::missing_errors_doc, reason = "said there")]
        fn check(&self) -> Result<(), Vec<Problem>>;
        /// See [`DeadLetterConfig::delivery`].
        fn delivery(&self) -> Delivery;
        /// See [`DeadLetterConfig::writes`].
        fn writes(&self) -> Vec<String>;
        /// See [`DeadLetterConfig::dead_letter_reader`].
        #[expect(clippy::missing_errors_doc, reason = "said there")]
        fn dead_letter_reader(&self, cx: &BuildContext) -> Result<Option<Box<dyn DeadLetterReader>>>;
        /// See [`DeadLetterConfig::files`].
        fn files(&self, pipeline: &str) -> Option<(String, String)>;
        /// See [`DeadLetterConfig::build`].
        #[expect(clippy::missing_errors_doc, reason = "said there")]
        fn build(&self, cx: &BuildContext) -> Result<Arc<dyn DeadLetterSink>>;
    } forward {
        fn delivery(&self) -> Delivery {
            C::delivery(self)
        }
        fn check(&self) -> Result<(), Vec<Problem>> {
            C::check(self)
        }
        fn writes(&self) -> Vec<String> {
            C::writes(self)
        }
        fn dead_letter_reader(&self, cx: &BuildContext) -> Result<Option<Box<dyn DeadLetterReader>>> {
            C::dead_letter_reader(self, cx)
        }
        fn files(&self, pipeline: &str) -> Option<(String, String)> {
            C::files(self, pipeline)
        }
        fn build(&self, cx: &BuildContext) -> Result<Arc<dyn DeadLetterSink>> {
            C::build(self, cx)
        }
    }
}

/// A checked configuration of any role.
pub enum StageConfig {
    /// A source.
    Source(Arc<dyn AnySource>),
    /// A transform.
    Transform(Arc<dyn AnyTransform>),
    /// A sink.
    Sink(Arc<dyn AnySink>),
    /// A dead-letter sink.
    DeadLetter(Arc<dyn AnyDeadLetter>),
}

type ParseError = serde_path_to_error::Error<serde_json::Error>;

/// What a stage registers: `inventory::submit! { Descriptor::transform::<MyConfig>() }`.
pub struct Descriptor {
    /// What it is for.
    pub role: Role,
    /// What `type` says.
    pub name: &'static str,
    /// Its table in TOML, without the header.
    pub example: &'static str,
    /// The options that do not decide what comes out (see [`SourceConfig::BESIDE_CONTENT`]).
    pub beside_content: &'static [&'static str],
    schema: fn() -> Schema,
    parse: fn(serde_json::Value) -> Result<StageConfig, ParseError>,
}

impl fmt::Debug for Descriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`", self.role, self.name)
    }
}

inventory::collect!(Descriptor);

impl Descriptor {
    /// The keys of a stage's table that belong to the engine.
    pub const ENGINE_KEYS: [&'static str; 2] = ["type", "id"];

    /// A source's.
    #[must_use]
    pub const fn source<C: SourceConfig>() -> Descriptor {
        Descriptor {
            role: Role::Source,
            name: C::NAME,
            example: C::EXAMPLE,
            beside_content: C::BESIDE_CONTENT,
            schema: schema_of::<C>,
            parse: |value| Ok(StageConfig::Source(Arc::new(parse::<C>(value)?))),
        }
    }

    /// A transform's.
    #[must_use]
    pub const fn transform<C: TransformConfig>() -> Descriptor {
        Descriptor {
            role: Role::Transform,
            name: C::NAME,
            example: C::EXAMPLE,
            beside_content: C::BESIDE_CONTENT,
            schema: schema_of::<C>,
            parse: |value| Ok(StageConfig::Transform(Arc::new(parse::<C>(value)?))),
        }
    }

    /// A sink's.
    #[must_use]
    pub const fn sink<C: SinkConfig>() -> Descriptor {
        Descriptor {
            role: Role::Sink,
            name: C::NAME,
            example: C::EXAMPLE,
            beside_content: C::BESIDE_CONTENT,
            schema: schema_of::<C>,
            parse: |value| Ok(StageConfig::Sink(Arc::new(parse::<C>(value)?))),
        }
    }

    /// A dead letter's end's.
    #[must_use]
    pub const fn dead_letter<C: DeadLetterConfig>() -> Descriptor {
        Descriptor {
            role: Role::DeadLetter,
            name: C::NAME,
            example: C::EXAMPLE,
            beside_content: C::BESIDE_CONTENT,
            schema: schema_of::<C>,
            parse: |value| Ok(StageConfig::DeadLetter(Arc::new(parse::<C>(value)?))),
        }
    }

    /// The JSON Schema of its configuration, without the engine's own keys.
    #[must_use]
    pub fn schema(&self) -> Schema {
        (self.schema)()
    }

    /// Its documentation: the doc comment of its configuration.
    #[must_use]
    pub fn docs(&self) -> String {
        self.schema().get("description").and_then(|text| text.as_str()).unwrap_or_default().to_owned()
    }

    /// The keys that it declares.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        let schema = self.schema();
        let properties = schema.get("properties").and_then(|properties| properties.as_object());
        properties.map(|properties| properties.keys().cloned().collect()).unwrap_or_default()
    }

    /// The configuration in a table, the engine's own keys taken out.
    ///
    /// # Errors
    /// Where the value does not fit the type, with the path to what does not.
    pub fn parse(&self, table: serde_json::Value) -> Result<StageConfig, ParseError> {
        (self.parse)(table)
    }
}

fn schema_of<C: JsonSchema>() -> Schema {
    schemars::schema_for!(C)
}

fn parse<C: DeserializeOwned>(value: serde_json::Value) -> Result<C, ParseError> {
    serde_path_to_error::deserialize(value)
}
