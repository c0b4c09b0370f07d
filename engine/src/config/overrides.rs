//! `--set [pipeline:]path.to.key=value`.

use std::sync::Arc;

use super::diagnostics::{Diagnostic, Diagnostics};
use super::node::{Node, Table, TableEntry, Value};
use super::override_syntax::{Override, PathSegment, parse};
use super::source_map::{SourceMap, Span};
use crate::nearest::nearest;
use crate::stage::Role;

/// The overrides of a command line, in the order given.
#[derive(Clone, Debug, Default)]
pub struct Overrides(Vec<Override>);

/// Stands before an override in messages.
const OVERRIDE_PREFIX: &str = "--set ";

impl Overrides {
    /// Reads overrides such as `sink.topic=test` and `producer:transform.range_check.on_fail=reject`. A key that is not
    /// made of letters, digits, `_` and `-` alone is quoted as in TOML.
    ///
    /// # Errors
    /// A diagnostic for each override of another form.
    pub fn parse<S: AsRef<str>>(texts: impl IntoIterator<Item = S>) -> Result<Overrides, Diagnostics> {
        let mut sources = SourceMap::default();
        let (mut overrides, mut problems) = (Vec::new(), Vec::new());
        for text in texts {
            let base = sources.add(None, &format!("{OVERRIDE_PREFIX}{}", text.as_ref())) + OVERRIDE_PREFIX.len();
            match parse(text.as_ref()) {
                Ok(parsed) => overrides.push(parsed),
                Err((message, range)) => problems.push(
                    Diagnostic::error(message)
                        .at(Span::based(base, range))
                        .help("an override is `[pipeline:]path.to.key=value`, a key with other signs in double quotes"),
                ),
            }
        }
        if problems.is_empty() { Ok(Overrides(overrides)) } else { Err(Diagnostics::new(Arc::new(sources), problems)) }
    }

    /// A diagnostic for each override that names a pipeline which is not among `names`.
    pub(super) fn unknown_pipelines(&self, names: &[&str]) -> Diagnostics {
        let mut sources = SourceMap::default();
        let mut problems = Vec::new();
        for one in &self.0 {
            let base = sources.add(None, &format!("{OVERRIDE_PREFIX}{}", one.text)) + OVERRIDE_PREFIX.len();
            let Some((pipeline, range)) = one.pipeline.as_ref().filter(|(name, _)| !names.contains(&name.as_str()))
            else {
                continue;
            };
            let problem = Diagnostic::error(format!("no pipeline given is called `{pipeline}`"))
                .at(Span::based(base, range.clone()));
            problems.push(match nearest(pipeline, names.iter().copied()) {
                Some(near) => problem.label(format!("did you mean `{near}`?")),
                None => problem.help(format!("the pipelines given are `{}`", names.join("`, `"))),
            });
        }
        Diagnostics::new(Arc::new(sources), problems)
    }

    /// Adds the overrides to a pipeline's sources; returns the offset at which each starts.
    pub(super) fn add_to(&self, sources: &mut SourceMap) -> Vec<usize> {
        self.0
            .iter()
            .map(|one| sources.add(None, &format!("{OVERRIDE_PREFIX}{}", one.text)) + OVERRIDE_PREFIX.len())
            .collect()
    }

    /// Applies the overrides of this pipeline to its document.
    pub(super) fn apply(&self, bases: &[usize], name: Option<&str>, root: &mut Node, problems: &mut Vec<Diagnostic>) {
        for (one, base) in self.0.iter().zip(bases) {
            if one.pipeline.as_ref().is_none_or(|(pipeline, _)| Some(pipeline.as_str()) == name)
                && let Err(problem) = one.apply(*base, root)
            {
                problems.push(problem);
            }
        }
    }
}

impl Override {
    fn apply(&self, base: usize, root: &mut Node) -> Result<(), Diagnostic> {
        let Some((last, parents)) = self.path.split_last() else { return Ok(()) };
        let of_transform = self.path.len() > 1 && self.path[0].key == Role::Transform.key();
        let mut node = root;
        for (depth, segment) in parents.iter().enumerate() {
            let parent = &parents[..depth];
            node = if depth == 1 && of_transform {
                choose(node, segment, base)?
            } else {
                child(node, segment, parent, base, !(depth == 0 && of_transform))?
            };
        }
        if parents.len() == 1 && of_transform {
            let transform = choose(node, last, base)?;
            transform.value = self.value(base);
            transform.span = Span::based(base, self.value.clone());
            return Ok(());
        }
        let (key_span, span) = (Span::based(base, last.range.clone()), Span::based(base, self.value.clone()));
        let new = Node { value: self.value(base), span, secret: false };
        if matches!(node.value, Value::Array(_)) {
            *item(node, last, base)? = new;
            return Ok(());
        }
        let table = as_table(node, parents, base)?;
        table.0.retain(|entry| entry.key != last.key);
        table.0.push(TableEntry { key: last.key.clone(), key_span, node: new });
        Ok(())
    }

    fn value(&self, base: usize) -> Value {
        let text = &self.text[self.value.clone()];
        match Node::parse(base + self.value.start, text) {
            // Quotes that reach this program are meant: the shell removes its own.
            Some(Node { value: quoted @ Value::Text(_), .. }) => quoted,
            parsed => Value::Untyped { text: text.to_owned(), parsed: parsed.map(Box::new) },
        }
    }
}

fn as_table<'a>(node: &'a mut Node, path: &[PathSegment], base: usize) -> Result<&'a mut Table, Diagnostic> {
    let span = path.last().map(|segment| Span::based(base, segment.range.clone()));
    let written = path.iter().map(|segment| segment.key.as_str()).collect::<Vec<_>>().join(".");
    node.make_table().ok_or_else(|| {
        let problem = Diagnostic::error(format!("`{written}` is not a table, so it has no keys"));
        Diagnostic { span, ..problem }
    })
}

/// The value of a key or the item of an array. A missing value becomes a table where `make` says so.
fn child<'a>(
    node: &'a mut Node,
    segment: &PathSegment,
    parent: &[PathSegment],
    base: usize,
    make: bool,
) -> Result<&'a mut Node, Diagnostic> {
    let span = Span::based(base, segment.range.clone());
    if matches!(node.value, Value::Array(_)) {
        return item(node, segment, base);
    }
    let table = as_table(node, parent, base)?;
    let at = match table.0.iter().position(|entry| entry.key == segment.key) {
        Some(at) => at,
        None if make => {
            let node = Node { value: Value::Table(Table::default()), span, secret: false };
            table.0.push(TableEntry { key: segment.key.clone(), key_span: span, node });
            table.0.len() - 1
        }
        None => return Err(Diagnostic::error("the pipeline has no `[[transform]]` to change").at(span)),
    };
    Ok(&mut table.0[at].node)
}

fn item<'a>(node: &'a mut Node, segment: &PathSegment, base: usize) -> Result<&'a mut Node, Diagnostic> {
    let span = Span::based(base, segment.range.clone());
    let items = match &mut node.value {
        Value::Array(items) => items.as_mut_slice(),
        _ => &mut [],
    };
    let count = items.len();
    let item = segment.key.parse::<usize>().ok().and_then(|index| items.get_mut(index));
    item.ok_or_else(|| {
        let problem = Diagnostic::error(format!("the array has no item `{}`", segment.key)).at(span);
        problem.label(format!("it has {count}, counted from 0"))
    })
}

/// The transform with that number (from 0), else with that `id`, else the only one of that type.
fn choose<'a>(node: &'a mut Node, segment: &PathSegment, base: usize) -> Result<&'a mut Node, Diagnostic> {
    let span = Span::based(base, segment.range.clone());
    let Value::Array(transforms) = &mut node.value else {
        return Err(Diagnostic::error("the pipeline has no `[[transform]]` to change").at(span));
    };
    let index = index_of(transforms, &segment.key).map_err(|problem| problem.at(span))?;
    Ok(&mut transforms[index])
}

fn index_of(transforms: &[Node], chosen: &str) -> Result<usize, Diagnostic> {
    let says =
        |node: &Node, key: &str| node.table().and_then(|table| table.get(key)).and_then(Node::text).map(str::to_owned);
    let count = transforms.len();
    let with = |key: &str| -> Vec<usize> {
        let is = |node: &Node| says(node, key).as_deref() == Some(chosen);
        transforms.iter().enumerate().filter(|(_, node)| is(node)).map(|(index, _)| index).collect()
    };
    match (chosen.parse::<usize>(), with("id").as_slice(), with("type").as_slice()) {
        (Ok(index), ..) if index < count => Ok(index),
        (Ok(_), ..) => {
            let problem = Diagnostic::error(format!("the pipeline has no transform {chosen}"));
            Err(problem.label(format!("it has {count}, counted from 0")))
        }
        (_, [index, ..], _) | (_, [], [index]) => Ok(*index),
        (_, [], []) => {
            let mut names: Vec<_> = transforms.iter().flat_map(|node| [says(node, "id"), says(node, "type")]).collect();
            names.dedup();
            let names: Vec<_> = names.into_iter().flatten().collect();
            let problem = Diagnostic::error(format!("the pipeline has no transform `{chosen}`"));
            Err(match nearest(chosen, names.iter().map(String::as_str)) {
                Some(near) => problem.label(format!("did you mean `{near}`?")),
                None => problem.help(format!("its transforms are `{}`", names.join("`, `"))),
            })
        }
        (_, [], several) => {
            let numbers: Vec<_> = several.iter().map(|index| format!("`transform.{index}`")).collect();
            Err(Diagnostic::error(format!("the pipeline has {} transforms `{chosen}`", several.len()))
                .help(format!("say which by its number: {}", numbers.join(", "))))
        }
    }
}
