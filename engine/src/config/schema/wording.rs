//! Errors of a schema, in words of a pipeline.

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind as Kind;
use serde_json::Value as Json;

use super::demand::demand;
use super::references::{resolve, subschemas};
use super::target::DiagnosticTarget;
use super::type_set::TypeSet;
use crate::config::diagnostics::Diagnostic;
use crate::config::doc_text::first_sentence;
use crate::config::node::{Lookup, Value};
use crate::config::toml_text::quote_path;
use crate::nearest::nearest;
use crate::stage::Descriptor;

/// The diagnostics of an error that the schema reports for the target. They depend on nothing but the two.
pub(super) fn describe(target: &DiagnosticTarget<'_>, error: &ValidationError<'_>) -> Vec<Diagnostic> {
    let path = pointer(error.instance_path().as_str());
    let found = target.node.find(&path);
    if matches!(found.node.value, Value::Invalid(_)) {
        return Vec::new();
    }
    let violation = SchemaViolation { target, error, path: &path, found };
    let diagnostic = match error.kind() {
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => return violation.choice(context),
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            return unexpected.iter().map(|key| violation.unknown_key(key)).collect();
        }
        Kind::PropertyNames { error } => violation.invalid(&format!("a key {}", demand(error.kind()))),
        Kind::Required { property } => violation.missing_key(property.as_str().unwrap_or_default()),
        Kind::Type { .. } => violation.wrong_type(violation.wanted()),
        Kind::Enum { options } => violation.not_one_of(&values(options)),
        Kind::Constant { expected_value } => violation.not_one_of(std::slice::from_ref(expected_value)),
        Kind::FalseSchema => violation.out_of_place(),
        // Editors show it instead of the pattern, too.
        Kind::Pattern { .. } => match violation.schema().get("patternErrorMessage").and_then(Json::as_str) {
            Some(message) => violation.invalid(message),
            None => violation.invalid(&demand(error.kind())),
        },
        kind => violation.invalid(&violation.share_demand().unwrap_or_else(|| demand(kind))),
    };
    vec![diagnostic]
}

/// An error of the schema with its place in the target.
struct SchemaViolation<'a> {
    target: &'a DiagnosticTarget<'a>,
    error: &'a ValidationError<'a>,
    path: &'a [String],
    found: Lookup<'a>,
}

impl SchemaViolation<'_> {
    /// "`limit` in transform `impute`", or the table's title.
    fn title(&self) -> String {
        match self.path {
            [] => self.target.title.to_owned(),
            path => format!("`{}` in {}", quote_path(path), self.target.title),
        }
    }

    fn error(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(message).at_place(self.found.node.span)
    }

    /// The schema with the keyword that rejected the value.
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

    /// A key that the value of another key excludes.
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

    /// The condition of an error below `then` or `else`: the keys that its `if` compares, as `method = "constant"`. `table`
    /// leads to the table of those keys.
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

    /// What is demanded of a share from 0 to 1: who writes 70 may mean 70 %.
    fn share_demand(&self) -> Option<String> {
        let schema = self.schema();
        let limit = |key: &str| schema.get(key).and_then(Json::as_f64);
        let is_share = limit("minimum") == Some(0.0) && limit("maximum") == Some(1.0);
        if !is_share || !TypeSet::of(schema, self.target.schema).has(TypeSet::FRACTION) {
            return None;
        }
        let written = match &self.found.node.value {
            Value::Integer(number) => *number as f64,
            Value::Float(number) => *number,
            _ => f64::NAN,
        };
        let meant = (written > 1.0 && written <= 100.0 && !self.found.node.secret).then_some(written / 100.0);
        let meant = meant.map_or_else(String::new, |share| format!("; write {share} for {written} %"));
        Some(format!("must be a share between 0 and 1{meant}"))
    }

    fn invalid(&self, demand: &str) -> Diagnostic {
        self.error(format!("invalid value for {}", self.title())).label(demand)
    }

    /// The diagnostics of `anyOf` or `oneOf`: those of the branch that was probably meant, or one that names all choices.
    fn choice(&self, branches: &[Vec<ValidationError<'static>>]) -> Vec<Diagnostic> {
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
            return vec![self.wrong_type(self.wanted())];
        }
        if words_only {
            return vec![self.not_one_of(&options)];
        }
        let branch = meant.into_iter().min_by_key(|branch| branch.len());
        branch.into_iter().flatten().flat_map(|error| describe(self.target, error)).collect()
    }
}

fn values(options: &Json) -> Vec<Json> {
    options.as_array().cloned().unwrap_or_default()
}

/// The segments of a JSON pointer.
fn pointer(text: &str) -> Vec<String> {
    text.split('/').skip(1).map(|segment| segment.replace("~1", "/").replace("~0", "~")).collect()
}

fn quoted(names: &[&str]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}
