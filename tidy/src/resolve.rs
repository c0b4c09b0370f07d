//! The file that a path leads to.

use crate::module_tree::{Import, ModuleTree};

/// The end of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A module.
    Module(usize),
    /// An item that is defined in the file with this number.
    Item(usize),
}

/// The depth to which re-exports are followed: two may name each other.
const REEXPORT_DEPTH_MAX: usize = 16;

impl ModuleTree {
    /// The target of a path in a module; `None` where it leads out of the crate.
    pub(crate) fn resolve(&self, module: usize, path: &[String]) -> Option<Target> {
        self.resolve_at(module, path, 0)
    }

    /// The file of a target.
    pub(crate) fn file_of(&self, target: Target) -> usize {
        match target {
            Target::Module(module) => self.modules[module].file,
            Target::Item(file) => file,
        }
    }

    fn resolve_at(&self, module: usize, path: &[String], depth: usize) -> Option<Target> {
        let (first, mut rest) = path.split_first()?;
        let mut start = match first.as_str() {
            "crate" => 0,
            "self" => module,
            "super" => self.modules[module].parent?,
            name => match self.modules[module].children.get(name) {
                Some(child) => *child,
                // An imported item needs no arrow of its own: the import has it.
                None => match self.import_of(module, name, depth)? {
                    Target::Module(module) => module,
                    Target::Item(_) => return None,
                },
            },
        };
        while let Some((first, others)) = rest.split_first().filter(|(first, _)| *first == "super") {
            debug_assert_eq!(first, "super");
            start = self.modules[start].parent?;
            rest = others;
        }
        self.walk(start, rest, depth)
    }

    fn walk(&self, mut module: usize, path: &[String], depth: usize) -> Option<Target> {
        for name in path {
            match self.step(module, name, depth)? {
                Target::Module(next) => module = next,
                item @ Target::Item(_) => return Some(item),
            }
        }
        Some(Target::Module(module))
    }

    /// What a name in a module stands for, seen from outside; the module's file where nothing says so.
    fn step(&self, module: usize, name: &str, depth: usize) -> Option<Target> {
        let here = &self.modules[module];
        if let Some(child) = here.children.get(name) {
            return Some(Target::Module(*child));
        }
        let own = Some(Target::Item(here.file));
        if here.definitions.contains(name) {
            return own;
        }
        if let Some(import) = here.imports.iter().find(|import| import.name.as_deref() == Some(name)) {
            return if import.public { self.follow(module, import, depth) } else { own };
        }
        let globs = here.imports.iter().filter(|import| import.name.is_none() && import.public);
        let mut modules = globs.filter_map(|import| self.follow(module, import, depth));
        let found = modules.find_map(|target| match target {
            Target::Module(glob) if self.has(glob, name) => self.step(glob, name, depth + 1),
            _ => None,
        });
        found.or(own)
    }

    fn has(&self, module: usize, name: &str) -> bool {
        let module = &self.modules[module];
        let imported = module.imports.iter().any(|import| import.public && import.name.as_deref() == Some(name));
        imported || module.definitions.contains(name) || module.children.contains_key(name)
    }

    fn import_of(&self, module: usize, name: &str, depth: usize) -> Option<Target> {
        let imports = &self.modules[module].imports;
        // `use a::a` names a crate: nothing else can have the name that it is looked up by.
        let is =
            |import: &&Import| import.name.as_deref() == Some(name) && import.path.first().is_some_and(|p| p != name);
        self.follow(module, imports.iter().find(is)?, depth)
    }

    fn follow(&self, module: usize, import: &Import, depth: usize) -> Option<Target> {
        if depth > REEXPORT_DEPTH_MAX {
            return None;
        }
        self.resolve_at(module, &import.path, depth + 1)
    }
}
