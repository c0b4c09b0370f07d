//! How a stage registers itself.

use std::fmt;
use std::sync::Arc;

use schemars::{JsonSchema, Schema};
use serde::de::DeserializeOwned;

use super::{DeadLetters, LossLimits, Role, SinkConfig, SourceConfig, TransformConfig};

/// A checked configuration of a stage.
#[derive(Clone)]
pub enum StageConfig {
    /// A source's.
    Source(Arc<dyn SourceConfig>),
    /// A transform's.
    Transform(Arc<dyn TransformConfig>),
    /// A sink's.
    Sink(Arc<dyn SinkConfig>),
    /// A dead-letter sink's, and when dead letters stop the run.
    DeadLetter(Arc<dyn SinkConfig<DeadLetters>>, LossLimits),
}

/// Why a table is no configuration of a stage, with the path to the value that does not fit.
pub type ParseError = serde_path_to_error::Error<serde_json::Error>;

/// The registration of a stage: `inventory::submit! { Descriptor::transform::<MyConfig>("my_stage", EXAMPLE) }`.
///
/// The doc comment of the configuration's type is the documentation of the stage, its fields (with their doc comments) are
/// the options. The type carries `#[serde(deny_unknown_fields)]`, and never `flatten`, `tag`, `untagged` or `alias`, which
/// lose the place of an error.
pub struct Descriptor {
    /// What it is for.
    pub role: Role,
    /// What `type` says in TOML.
    pub name: &'static str,
    /// Its options in TOML, as `aqpipe stages NAME` shows them below the table's header and `type`, neither of which it
    /// has. `validate` accepts it.
    pub example: &'static str,
    /// The options that do not decide the content of the output: where it goes, how fast, who is asked for it. A completed
    /// run is not repeated because one of them was changed.
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

    /// Registers a source.
    #[must_use]
    pub const fn source<C>(name: &'static str, example: &'static str) -> Descriptor
    where
        C: SourceConfig + DeserializeOwned + JsonSchema + 'static,
    {
        let parse = |value| Ok(StageConfig::Source(Arc::new(parse::<C>(value)?)));
        Descriptor { role: Role::Source, name, example, beside_content: &[], schema: schema_of::<C>, parse }
    }

    /// Registers a transform.
    #[must_use]
    pub const fn transform<C>(name: &'static str, example: &'static str) -> Descriptor
    where
        C: TransformConfig + DeserializeOwned + JsonSchema + 'static,
    {
        let parse = |value| Ok(StageConfig::Transform(Arc::new(parse::<C>(value)?)));
        Descriptor { role: Role::Transform, name, example, beside_content: &[], schema: schema_of::<C>, parse }
    }

    /// Registers a sink.
    #[must_use]
    pub const fn sink<C>(name: &'static str, example: &'static str) -> Descriptor
    where
        C: SinkConfig + DeserializeOwned + JsonSchema + 'static,
    {
        let parse = |value| Ok(StageConfig::Sink(Arc::new(parse::<C>(value)?)));
        Descriptor { role: Role::Sink, name, example, beside_content: &[], schema: schema_of::<C>, parse }
    }

    /// Registers a sink of dead letters.
    #[must_use]
    pub const fn dead_letter<C>(name: &'static str, example: &'static str) -> Descriptor
    where
        C: SinkConfig<DeadLetters> + DeserializeOwned + JsonSchema + 'static,
    {
        let parse = |value| {
            let (limits, own) = split_off(value, &LossLimits::KEYS);
            Ok(StageConfig::DeadLetter(Arc::new(parse::<C>(own)?), parse::<LossLimits>(limits)?))
        };
        Descriptor { role: Role::DeadLetter, name, example, beside_content: &[], schema: with_loss_limits::<C>, parse }
    }

    /// The same with options that are [beside the content](Self::beside_content).
    #[must_use]
    pub const fn beside_content(self, options: &'static [&'static str]) -> Descriptor {
        Descriptor { beside_content: options, ..self }
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

    /// Reads the configuration from a table, the engine's own keys taken out.
    ///
    /// # Errors
    /// Where a value does not fit its type.
    pub fn parse(&self, table: serde_json::Value) -> Result<StageConfig, ParseError> {
        (self.parse)(table)
    }
}

fn schema_of<C: JsonSchema>() -> Schema {
    schemars::schema_for!(C)
}

/// The schema of a dead-letter sink with the keys that every one of them has.
fn with_loss_limits<C: JsonSchema>() -> Schema {
    let mut schema = schema_of::<C>();
    let limits = schema_of::<LossLimits>();
    let keys = limits.get("properties").and_then(|keys| keys.as_object()).cloned().unwrap_or_default();
    let own = schema.ensure_object().entry("properties").or_insert_with(|| serde_json::Map::new().into());
    if let Some(own) = own.as_object_mut() {
        own.extend(keys);
    }
    schema
}

/// The entries of a table with these keys, and the others.
fn split_off(table: serde_json::Value, keys: &[&str]) -> (serde_json::Value, serde_json::Value) {
    let serde_json::Value::Object(table) = table else { return (serde_json::Map::new().into(), table) };
    let (of_keys, others): (serde_json::Map<_, _>, serde_json::Map<_, _>) =
        table.into_iter().partition(|(key, _)| keys.contains(&key.as_str()));
    (of_keys.into(), others.into())
}

fn parse<C: DeserializeOwned>(value: serde_json::Value) -> Result<C, ParseError> {
    serde_path_to_error::deserialize(value)
}
