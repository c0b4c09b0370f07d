//! The names of properties: those that are renamed, and those that are paths into objects.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Objects and arrays on the way to a value, so that none overflows the stack.
pub(super) const PATH_LEVELS_MAX: usize = 64;

/// How deep a property lies at the top of a record whose name is only its own, while another one is renamed so: what is renamed counts
/// before it.
pub(super) const OWN_NAME: usize = usize::MAX - 1;
/// The same for a property whose name has the text of a pointer: what the pointer points at counts before it.
pub(super) const POINTER_NAME: usize = usize::MAX;

/// Whether a name is a JSON Pointer (RFC 6901).
pub(super) fn is_pointer(name: &str) -> bool {
    name.starts_with('/')
}

/// Whether a text is a JSON Pointer to something inside of a record.
#[must_use]
pub fn is_json_pointer(text: &str) -> bool {
    let mut after = text.split('~').skip(1);
    is_pointer(text) && after.all(|after| after.starts_with(['0', '1']))
}

/// A pointer as a path with dots, which may mean the same property; other names are left alone.
#[must_use]
pub fn with_dots(name: &str) -> Cow<'_, str> {
    match name.strip_prefix('/') {
        Some(inner) => inner.replace('/', ".").replace("~1", "/").replace("~0", "~").into(),
        None => name.into(),
    }
}

/// Appends a property's name to a pointer.
pub(super) fn push_pointer(pointer: &mut String, name: &str) {
    pointer.push('/');
    for c in name.chars() {
        match c {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            c => pointer.push(c),
        }
    }
}

/// Which property is meant by a name, and which objects have to be opened for it.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// The name that is meant, by the property's own.
    renamed: BTreeMap<String, Arc<str>>,
    /// The paths of the objects in which something is asked for: `fields` and `/fields` for `fields.pm25` and `/fields/pm25`.
    beginnings: HashSet<Box<str>>,
    has_paths: bool,
}

impl Names {
    /// The names that a configuration asks for.
    pub(super) fn new<'a>(rename: &BTreeMap<String, String>, asked: impl Iterator<Item = &'a str>) -> Names {
        let renamed = rename.iter().map(|(name, meant)| (name.clone(), meant.as_str().into())).collect();
        let mut names = Names { renamed, ..Names::default() };
        let properties: Vec<String> = asked.flat_map(|name| names.properties(name)).map(str::to_owned).collect();
        for property in properties.iter().chain(rename.keys()) {
            let separator = if is_pointer(property) { '/' } else { '.' };
            let inner = property.match_indices(separator).filter(|(at, _)| *at > 0);
            names.beginnings.extend(inner.map(|(at, _)| Box::from(&property[..at])));
            names.has_paths |= is_pointer(property);
        }
        names.has_paths |= !names.beginnings.is_empty();
        names
    }

    /// The properties that are meant by a name: those that are renamed so, and that of the name itself.
    pub(super) fn properties<'a>(&'a self, name: &'a str) -> Vec<&'a str> {
        let renamed = self.renamed.iter().filter(|(_, meant)| ***meant == *name).map(|(property, _)| property.as_str());
        let own = (!self.renamed.contains_key(name)).then_some(name);
        renamed.chain(own).collect()
    }

    /// Whether another property is renamed so.
    pub(super) fn is_meant(&self, name: &str) -> bool {
        self.renamed.values().any(|meant| **meant == *name)
    }

    /// How deep a property of that name lies at the top of a record.
    pub(super) fn depth(&self, name: &str) -> usize {
        if is_pointer(name) {
            return POINTER_NAME;
        }
        let is_own = !self.renamed.is_empty() && !self.renamed.contains_key(name) && self.is_meant(name);
        if is_own { OWN_NAME } else { 0 }
    }

    /// The name that is meant by a property, where that is another one.
    pub(super) fn renamed(&self, property: &str) -> Option<&Arc<str>> {
        self.renamed.get(property)
    }

    /// Whether something inside of the object or array with this path is asked for.
    pub(super) fn opens(&self, path: &str) -> bool {
        self.beginnings.contains(path)
    }

    /// Whether any name is a path, or may be one.
    pub(super) fn has_paths(&self) -> bool {
        self.has_paths
    }
}
