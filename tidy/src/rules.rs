//! The rules that a crate's files are held to.

use std::collections::{BTreeMap, BTreeSet};

use crate::arrows::{Arrow, arrows};
use crate::module_tree::ModuleTree;
use crate::resolve::Target;

/// Files that use each other.
#[derive(Debug, PartialEq, Eq)]
pub struct Circle {
    /// The files, sorted.
    pub files: Vec<String>,
    /// The arrows between them.
    pub arrows: Vec<Arrow>,
}

/// The circles of a crate's files, faces left out.
#[must_use]
pub fn circles(tree: &ModuleTree) -> Vec<Circle> {
    let faces: BTreeSet<&str> =
        tree.files.iter().filter(|file| file.logic.is_empty()).map(|file| file.path.as_str()).collect();
    let arrows: Vec<Arrow> = arrows(tree)
        .into_iter()
        .filter(|arrow| !faces.contains(arrow.from.as_str()) && !faces.contains(arrow.to.as_str()))
        .collect();
    let mut next: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for arrow in &arrows {
        next.entry(&arrow.from).or_default().push(&arrow.to);
    }
    let reach: BTreeMap<&str, BTreeSet<&str>> = next.keys().map(|file| (*file, reachable(file, &next))).collect();
    let mut found: Vec<Circle> = Vec::new();
    for (file, reached) in &reach {
        if !reached.contains(file) || found.iter().any(|circle| circle.files.iter().any(|other| other == file)) {
            continue;
        }
        let back = |other: &&&str| reach.get(**other).is_some_and(|reached| reached.contains(file));
        let files: Vec<String> = reached.iter().filter(back).map(|file| (*file).to_owned()).collect();
        let within = |arrow: &&Arrow| files.contains(&arrow.from) && files.contains(&arrow.to);
        found.push(Circle { arrows: arrows.iter().filter(within).cloned().collect(), files });
    }
    found
}

fn reachable<'a>(from: &str, next: &BTreeMap<&'a str, Vec<&'a str>>) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&str> = next.get(from).into_iter().flatten().copied().collect();
    while let Some(file) = open.pop() {
        if found.insert(file) {
            open.extend(next.get(file).into_iter().flatten());
        }
    }
    found
}

/// The arrows between rooms of a crate that do not lead to a lower tier, each as a line. `tiers` are the rooms from the
/// lowest tier to the highest; rooms of one tier do not use each other.
#[must_use]
pub fn upward_arrows(tree: &ModuleTree, tiers: &[&[&str]]) -> Vec<String> {
    let tier = |room: &str| tiers.iter().position(|rooms| rooms.contains(&room));
    let mut found: Vec<String> = Vec::new();
    let rooms: BTreeSet<&str> = tree.files.iter().filter_map(|file| room(&file.path)).collect();
    found.extend(rooms.iter().filter(|room| tier(room).is_none()).map(|room| format!("{room} has no tier")));
    for Arrow { from, to, ties } in arrows(tree) {
        let Some(user) = room(&from) else { continue };
        for tie in &ties {
            let named = tie.strip_prefix("crate::").and_then(|path| path.split("::").next());
            for used in [room(&to), named.filter(|name| rooms.contains(name))].into_iter().flatten() {
                if used != user && tier(user) <= tier(used) {
                    found.push(format!("{from} -> {used} ({tie})"));
                }
            }
        }
    }
    found.dedup();
    found
}

/// The top-level module of a file; `None` for the root.
fn room(path: &str) -> Option<&str> {
    let room = path.split('/').next().map(|first| first.trim_end_matches(".rs"))?;
    (!matches!(room, "lib" | "main")).then_some(room)
}

/// The imports of everything in a module of the crate, each as a line: what they are used for cannot be seen.
#[must_use]
pub fn glob_imports(tree: &ModuleTree) -> Vec<String> {
    let modules = tree.modules.iter().enumerate();
    let globs = modules.flat_map(|(number, module)| {
        let globs = module.imports.iter().filter(|import| import.name.is_none() && !import.public);
        let own = globs.filter(move |glob| matches!(tree.resolve(number, &glob.path), Some(Target::Module(_))));
        own.map(|glob| format!("{}: use {}::*", tree.files[module.file].path, glob.path.join("::")))
    });
    globs.collect()
}

/// The definitions in faces (`mod.rs`), each as `path: fn name`.
#[must_use]
pub fn logic_in_faces(tree: &ModuleTree) -> Vec<String> {
    let faces = tree.files.iter().filter(|file| file.path.ends_with("mod.rs"));
    faces.flat_map(|file| file.logic.iter().map(|logic| format!("{}: {logic}", file.path))).collect()
}
