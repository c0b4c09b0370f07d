//! What a schema rejects, in words of a pipeline.

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind as Kind;
use serde_json::Value as Json;

use super::DiagnosticTarget;
use super::type_set::{TypeSet, resolve, subschemas};
use crate::config::diagnostics::Diagnostic;
use crate::config::first_sentence;
use crate::config::node::{Lookup, Value};
use crate::nearest::nearest;
use crate::stage::Descriptor;

/// Words an error of the schema.
pub(super) fn describe(target: &DiagnosticTarget<'_>, error: &ValidationError<'_>, list: &mut Vec<Diagnostic>) {
    let path = pointer(error.instance_path().as_str());
    let found = target.node.find(&path);
    if matches!(found.node.value, Value::Invalid(_)) {
        return;
    }
    let place = SchemaViolation { target, error, path: &path, found };
    match error.kind() {
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => place.choice(context, list),
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            list.extend(unexpected.iter().map(|key| place.unknown_key(key)));
        }
        Kind::PropertyNames { error } => list.push(place.invalid(&format!("a key {}", demand(error.kind())))),
        Kind::Required { property } => list.push(place.missing_key(property.as_str().unwrap_or_default())),
        Kind::Type { .. } => list.push(place.wrong_type(place.wanted())),
        Kind::Enum { options } => list.push(place.not_one_of(&values(options))),
        Kind::Constant { expected_value } => list.push(place.not_one_of(std::slice::from_ref(expected_value))),
        Kind::FalseSchema => list.push(place.out_of_place()),
        kind => list.push(place.invalid(&demand(kind))),
    }
}

/// What a value must be.
fn demand(kind: &Kind) -> String {
    let items = |count: u64| if count == 1 { "1 item".to_owned() } else { format!("{count} items") };
    let signs = |count: u64| if count == 1 { "1 character".to_owned() } else { format!("{count} characters") };
    match kind {
        Kind::Minimum { limit } => format!("must be at least {}", number(limit)),
        Kind::Maximum { limit } => format!("must be at most {}", number(limit)),
        Kind::ExclusiveMinimum { limit } => format!("must be above {}", number(limit)),
        Kind::ExclusiveMaximum { limit } => format!("must be below {}", number(limit)),
        Kind::MultipleOf { multiple_of } => format!("must be a multiple of {multiple_of}"),
        Kind::MinLength { limit: 1 } => "must not be empty".to_owned(),
        Kind::MinLength { limit } => format!("must have at least {}", signs(*limit)),
        Kind::MaxLength { limit } => format!("must have at most {}", signs(*limit)),
        Kind::MinItems { limit: 1 } | Kind::MinProperties { limit: 1 } => "must not be empty".to_owned(),
        Kind::MinItems { limit } => format!("must have at least {}", items(*limit)),
        Kind::MaxItems { limit } => format!("must have at most {}", items(*limit)),
        Kind::AdditionalItems { limit } => format!("must have at most {}", items(*limit as u64)),
        Kind::MinProperties { limit } => format!("must have at least {limit} keys"),
        Kind::MaxProperties { limit } => format!("must have at most {limit} keys"),
        Kind::UniqueItems => "must not name anything twice".to_owned(),
        Kind::Pattern { pattern } => format!("must match `{pattern}`"),
        Kind::Format { format } => format!("must be a valid {format}"),
        Kind::OneOfMultipleValid { .. } => "fits more than one of the forms that it can have".to_owned(),
        other => format!("does not fit the schema (`{}`)", other.keyword()),
    }
}

/// A limit without a fraction of zero, which schemas of floats have.
fn number(limit: &Json) -> String {
    match limit.as_f64() {
        Some(limit) if limit.fract() == 0.0 && limit.abs() < 1e15 => format!("{limit:.0}"),
        _ => limit.to_string(),
    }
}

/// An error with the place it is at.
struct SchemaViolation<'a> {
    target: &'a DiagnosticTarget<'a>,
    error: &'a ValidationError<'a>,
    path: &'a [String],
    found: Lookup<'a>,
}

impl SchemaViolation<'_> {
    /// "`limit` in transform `impute`", or the stage itself.
    fn title(&self) -> String {
        match self.path {
            [] => self.target.title.to_owned(),
            path => format!("`{}` in {}", quote_path(path), self.target.title),
        }
    }

    fn error(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(message).at_place(self.found.node.span)
    }

    /// The schema that holds the keyword which rejected.
    fn schema(&self) -> &Json {
        let keyword = self.error.schema_path().as_str();
        let parent = keyword.rsplit_once('/').map_or("", |(parent, _)| parent);
        self.target.schema.pointer(parent).unwrap_or(&Json::Bool(true))
    }

    fn wanted(&self) -> TypeSet {
        TypeSet::of(self.schema(), self.target.schema)
    }

    fn unknown_key(&self, key: &str) -> Diagnostic {
        let mut known: Vec<&str> = Vec::new();
        for part in subschemas(self.schema(), self.target.schema) {
            let properties = part.get("properties").and_then(Json::as_object);
            known.extend(properties.into_iter().flat_map(|properties| properties.keys().map(String::as_str)));
        }
        if self.path.is_empty() {
            known.extend(self.target.without.iter().filter(|key| Descriptor::ENGINE_KEYS.contains(key)));
        }
        let key_path: Vec<_> = self.path.iter().map(String::as_str).chain([key]).collect();
        let found = self.target.node.find(&key_path);
        let message = format!("unknown key `{key}` in {}", self.target.title);
        let problem = Diagnostic::error(message).at_place(found.key.unwrap_or(found.node.span));
        match nearest(key, known.iter().copied()) {
            Some(near) => problem.label(format!("did you mean `{near}`?")),
            None if known.is_empty() => problem,
            None => problem.help(format!("the keys here are {}", quoted(&known))),
        }
    }

    fn missing_key(&self, key: &str) -> Diagnostic {
        let wanting = match self.path {
            [] => self.target.title.to_owned(),
            path => format!("`{}` of {}", quote_path(path), self.target.title),
        };
        let problem = self.error(format!("missing key `{key}` in {wanting}"));
        let problem = match self.condition(self.path) {
            Some(condition) => problem.label(format!("needed with {condition}")),
            None => problem,
        };
        let schema = self.schema().get("properties").and_then(|properties| properties.get(key));
        let said = schema.and_then(|schema| {
            let own = schema.get("description");
            own.or_else(|| resolve(schema, self.target.schema).get("description")).and_then(Json::as_str)
        });
        match said {
            Some(docs) => problem.help(format!("`{key}`: {}", first_sentence(docs))),
            None => problem,
        }
    }

    fn wrong_type(&self, wanted: TypeSet) -> Diagnostic {
        let found = TypeSet::of_value(&self.found.node.value);
        let problem = self.error(format!("wrong type for {}", self.title()));
        let problem = problem.label(format!("expected {}, found {}", wanted.words(), found.words()));
        if matches!(&self.found.node.value, Value::Text(text) if text == "null") {
            return problem.help("TOML has no null: a key that is not to be set is left out of the file");
        }
        problem
    }

    fn not_one_of(&self, options: &[Json]) -> Diagnostic {
        let texts: Vec<&str> = options.iter().filter_map(Json::as_str).collect();
        let found = TypeSet::of_value(&self.found.node.value);
        let wanted = TypeSet::of(&serde_json::json!({ "enum": options }), self.target.schema);
        if !wanted.has(found) {
            return self.wrong_type(wanted);
        }
        let written: Vec<String> = match texts.len() == options.len() {
            true => texts.iter().map(|text| format!("`{text}`")).collect(),
            false => options.iter().filter(|option| !option.is_null()).map(|option| format!("`{option}`")).collect(),
        };
        let help = match written.as_slice() {
            [only] => format!("it can only be {only}"),
            several => format!("it can be {}", several.join(", ")),
        };
        let text = self.found.node.text().filter(|_| !self.found.node.secret);
        match text {
            None => self.error(format!("unknown value for {}", self.title())).help(help),
            Some(text) => {
                let problem = self.error(format!("unknown value `{text}` for {}", self.title()));
                match nearest(text, texts.iter().copied()) {
                    Some(near) => problem.label(format!("did you mean `{near}`?")).help(help),
                    None => problem.help(help),
                }
            }
        }
    }

    /// A key that another key's value leaves no room for.
    fn out_of_place(&self) -> Diagnostic {
        let span = self.found.key.unwrap_or(self.found.node.span);
        let Some((key, parent)) = self.path.split_last() else {
            return self.error(format!("{} cannot be used", self.target.title));
        };
        match self.condition(parent) {
            Some(condition) => {
                Diagnostic::error(format!("`{key}` does not go with {condition}, in {}", self.target.title))
            }
            None => Diagnostic::error(format!("`{key}` does not belong here, in {}", self.target.title)),
        }
        .at_place(span)
    }

    /// What the `if` of a schema looked at: `method = "constant"`, for an error below its `then` or `else`. `table` is
    /// where the condition holds.
    fn condition(&self, table: &[String]) -> Option<String> {
        let keyword = self.error.schema_path().as_str();
        let at = keyword.rfind("/then/").max(keyword.rfind("/else/"))?;
        let condition = self.target.schema.pointer(&keyword[..at])?.get("if")?;
        let table = self.target.node.find(table).node.table()?;
        let keys = condition.get("properties")?.as_object()?.keys();
        let written = keys.filter_map(|key| {
            let node = table.get(key).filter(|node| !node.secret)?;
            Some(format!("`{key} = {}`", node.to_json()))
        });
        Some(written.collect::<Vec<_>>().join(" and ")).filter(|written| !written.is_empty())
    }

    fn invalid(&self, demand: &str) -> Diagnostic {
        self.error(format!("invalid value for {}", self.title())).label(demand)
    }

    /// An error of `anyOf` or `oneOf`: that of the branch which was meant, or what all of them want.
    fn choice(&self, branches: &[Vec<ValidationError<'static>>], list: &mut Vec<Diagnostic>) {
        let here = self.error.instance_path();
        let at_root = |error: &ValidationError<'_>| error.instance_path() == here;
        let other_type = |branch: &&Vec<ValidationError<'static>>| {
            branch.iter().any(|error| at_root(error) && matches!(error.kind(), Kind::Type { .. }))
        };
        let meant: Vec<_> = branches.iter().filter(|branch| !other_type(branch)).collect();
        let mut options = Vec::new();
        for error in meant.iter().copied().flatten().filter(|error| at_root(error)) {
            match error.kind() {
                Kind::Enum { options: more } => options.extend(values(more)),
                Kind::Constant { expected_value } => options.push(Json::clone(expected_value)),
                _ => {}
            }
        }
        let words_only = meant.iter().all(|branch| {
            branch
                .iter()
                .any(|error| at_root(error) && matches!(error.kind(), Kind::Enum { .. } | Kind::Constant { .. }))
        });
        if meant.is_empty() {
            list.push(self.wrong_type(self.wanted()));
        } else if words_only {
            list.push(self.not_one_of(&options));
        } else if let Some(branch) = meant.iter().min_by_key(|branch| branch.len()) {
            branch.iter().for_each(|error| describe(self.target, error, list));
        }
    }
}

fn values(options: &Json) -> Vec<Json> {
    options.as_array().cloned().unwrap_or_default()
}

/// The segments of a JSON pointer.
fn pointer(text: &str) -> Vec<String> {
    text.split('/').skip(1).map(|segment| segment.replace("~1", "/").replace("~0", "~")).collect()
}

/// A path as TOML would write it: `steps[0].limit`, `ranges."CO(GT)".max`.
pub(in crate::config) fn quote_path<S: AsRef<str>>(path: &[S]) -> String {
    let mut text = String::new();
    for segment in path {
        let segment = segment.as_ref();
        if !text.is_empty() && segment.parse::<usize>().is_ok() {
            text.push_str(&format!("[{segment}]"));
            continue;
        }
        if !text.is_empty() {
            text.push('.');
        }
        let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if !segment.is_empty() && segment.chars().all(bare) {
            text.push_str(segment);
        } else {
            text.push_str(&format!("{segment:?}"));
        }
    }
    text
}

fn quoted(names: &[&str]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}
