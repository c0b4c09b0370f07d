//! Arrows between the files of a crate.

use std::collections::BTreeMap;

use crate::module_tree::ModuleTree;

/// The arrow of a file to another, with the paths that make it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrow {
    /// The file that uses.
    pub from: String,
    /// The file that is used.
    pub to: String,
    /// The paths, as written.
    pub ties: Vec<String>,
}

/// All arrows of a crate, those of faces too.
#[must_use]
pub fn arrows(tree: &ModuleTree) -> Vec<Arrow> {
    let mut found: BTreeMap<(usize, usize), Vec<String>> = BTreeMap::new();
    for (number, module) in tree.modules.iter().enumerate() {
        let imports = module.imports.iter().map(|import| &import.path);
        for path in imports.chain(&module.paths) {
            let Some(target) = tree.resolve(number, path) else { continue };
            let ties = found.entry((module.file, tree.file_of(target))).or_default();
            let tie = path.join("::");
            if !ties.contains(&tie) {
                ties.push(tie);
            }
        }
        for (name, child) in &module.children {
            found.entry((module.file, tree.modules[*child].file)).or_default().push(format!("mod {name}"));
        }
    }
    let name = |file: usize| tree.files[file].path.clone();
    let between = found.into_iter().filter(|((from, to), _)| from != to);
    between.map(|((from, to), ties)| Arrow { from: name(from), to: name(to), ties }).collect()
}
