//! All stages of a build, by role and name.

use std::collections::BTreeMap;

use super::{Descriptor, Role};
use crate::error::{Error, Result};

/// All stages of a build, sorted.
#[derive(Debug)]
pub struct Registry {
    stages: BTreeMap<(Role, &'static str), &'static Descriptor>,
}

impl Registry {
    /// The stages that registered themselves through `inventory`.
    ///
    /// # Errors
    /// Where none did (the crate that holds them was not linked: name it with `use … as _`), where two have one name,
    /// or where one declares a key that belongs to the engine.
    pub fn collect() -> Result<Registry> {
        Self::of(inventory::iter::<Descriptor>)
    }

    /// The same with more stages.
    pub(crate) fn collect_with(more: &'static [Descriptor]) -> Result<Registry> {
        Self::of(inventory::iter::<Descriptor>.into_iter().chain(more))
    }

    fn of(descriptors: impl IntoIterator<Item = &'static Descriptor>) -> Result<Registry> {
        let mut stages = BTreeMap::new();
        for descriptor in descriptors {
            if stages.insert((descriptor.role, descriptor.name), descriptor).is_some() {
                return Err(Error::bug(format!("two {}s are called `{}`", descriptor.role, descriptor.name)));
            }
            // One rule for all: the command writes the header and `type` above it.
            if descriptor
                .example
                .lines()
                .any(|line| line.starts_with("type ") || line.starts_with(descriptor.role.header()))
            {
                return Err(Error::bug(format!(
                    "the example of the {} `{}` has a header or a `type`: it is to have options alone",
                    descriptor.role, descriptor.name
                )));
            }
            let keys = descriptor.keys();
            if let Some(key) = Descriptor::ENGINE_KEYS.into_iter().find(|key| keys.iter().any(|own| own == key)) {
                return Err(Error::bug(format!(
                    "the {} `{}` declares the key `{key}`, which is the engine's",
                    descriptor.role, descriptor.name
                )));
            }
        }
        if stages.is_empty() {
            return Err(Error::bug("no stage registered itself: is the crate that holds them linked?")
                .help("name the crate in your `main.rs`: `use aqpipe_stages as _;`"));
        }
        Ok(Registry { stages })
    }

    /// The stage of that role and name.
    #[must_use]
    pub fn get(&self, role: Role, name: &str) -> Option<&'static Descriptor> {
        // The key's lifetime is that of the registry's names, so a range look-up would not shorten it.
        self.stages.iter().find(|((r, n), _)| *r == role && *n == name).map(|(_, descriptor)| *descriptor)
    }

    /// All stages, by role, then by name.
    pub fn iter(&self) -> impl Iterator<Item = &'static Descriptor> {
        self.stages.values().copied()
    }

    /// The names of a role, sorted.
    pub fn names(&self, role: Role) -> impl Iterator<Item = &'static str> {
        self.stages.keys().filter(move |(r, _)| *r == role).map(|(_, name)| *name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_registry_is_an_error_that_says_how_to_link_the_stages() {
        let error = Registry::of([]).expect_err("empty");
        assert!(error.to_string().contains("no stage registered"), "{error}");
        assert!(error.help_text().is_some_and(|help| help.contains("use aqpipe_stages as _;")));
    }
}
