//! The modules of a crate, each with what it defines and what it names.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::TokenStream;
use quote::ToTokens as _;
use syn::{Item, UseTree, Visibility};

use crate::crate_source::CrateSource;
use crate::tokens::Paths;

/// The modules of a crate.
#[derive(Debug)]
pub struct ModuleTree {
    pub(crate) modules: Vec<Module>,
    pub(crate) files: Vec<File>,
}

/// A file of a crate.
#[derive(Debug)]
pub(crate) struct File {
    /// Its path in `src`.
    pub(crate) path: String,
    /// What it holds beside modules, imports, re-exports and registrations, as `fn nearest`. A face holds nothing.
    pub(crate) logic: Vec<String>,
}

/// A module, in a file of its own or inline.
#[derive(Debug)]
pub(crate) struct Module {
    /// The number of its file.
    pub(crate) file: usize,
    pub(crate) parent: Option<usize>,
    pub(crate) children: BTreeMap<String, usize>,
    pub(crate) definitions: BTreeSet<String>,
    pub(crate) imports: Vec<Import>,
    /// All paths of two segments or more.
    pub(crate) paths: Vec<Vec<String>>,
}

/// A name that a `use` brings into a module.
#[derive(Clone, Debug)]
pub(crate) struct Import {
    pub(crate) path: Vec<String>,
    /// The name here; `None` for `*`.
    pub(crate) name: Option<String>,
    /// Whether it is a re-export.
    pub(crate) public: bool,
}

impl ModuleTree {
    /// Parses the files that a root (`lib.rs`, `main.rs`) consists of.
    ///
    /// # Errors
    /// The file that is missing, or that cannot be parsed.
    pub fn parse(root: &str, sources: &CrateSource) -> Result<ModuleTree, String> {
        let mut tree = ModuleTree { modules: Vec::new(), files: Vec::new() };
        let directory = root.rsplit_once('/').map_or(String::new(), |(directory, _)| format!("{directory}/"));
        tree.file(root, &directory, None, sources)?;
        Ok(tree)
    }

    /// Adds a file whose child modules are in `directory`; returns the number of its module.
    fn file(
        &mut self,
        path: &str,
        directory: &str,
        parent: Option<usize>,
        sources: &CrateSource,
    ) -> Result<usize, String> {
        let text = sources.get(path).ok_or_else(|| format!("there is no file {path}"))?;
        let parsed = syn::parse_file(text).map_err(|error| format!("{path}: {error}"))?;
        let file = self.files.len();
        self.files.push(File { path: path.to_owned(), logic: Vec::new() });
        self.module(file, directory, parent, parsed.items, sources)
    }

    fn module(
        &mut self,
        file: usize,
        directory: &str,
        parent: Option<usize>,
        items: Vec<Item>,
        sources: &CrateSource,
    ) -> Result<usize, String> {
        let this = self.modules.len();
        self.modules.push(Module {
            file,
            parent,
            children: BTreeMap::new(),
            definitions: BTreeSet::new(),
            imports: Vec::new(),
            paths: Vec::new(),
        });
        for item in items {
            if is_test(attributes(&item)) {
                continue;
            }
            match item {
                Item::Use(item) => self.import(this, &item),
                Item::Mod(item) => {
                    let name = item.ident.to_string();
                    let below = format!("{directory}{name}/");
                    let child = match item.content {
                        Some((_, items)) => {
                            self.files[file].logic.push(format!("mod {name}"));
                            self.module(file, &below, Some(this), items, sources)?
                        }
                        None => {
                            let plain = format!("{directory}{name}.rs");
                            let path = if sources.contains_key(&plain) { plain } else { format!("{below}mod.rs") };
                            self.file(&path, &below, Some(this), sources)?
                        }
                    };
                    self.modules[this].children.insert(name, child);
                }
                item => {
                    if let Some((kind, name)) = definition(&item) {
                        self.files[file].logic.push(format!("{kind} {name}"));
                        self.modules[this].definitions.insert(name);
                    } else if !is_registration(&item) {
                        self.files[file].logic.push(opening(&item));
                    }
                    self.scan(this, item.into_token_stream());
                }
            }
        }
        Ok(this)
    }

    fn scan(&mut self, module: usize, tokens: TokenStream) {
        let mut found = Paths::default();
        found.collect(tokens);
        self.modules[module].paths.append(&mut found.paths);
        found.uses.iter().for_each(|item| self.import(module, item));
    }

    fn import(&mut self, module: usize, item: &syn::ItemUse) {
        if item.leading_colon.is_none() {
            let public = !matches!(item.vis, Visibility::Inherited);
            flatten(&item.tree, &mut Vec::new(), public, &mut self.modules[module].imports);
        }
    }
}

fn flatten(tree: &UseTree, path: &mut Vec<String>, public: bool, imports: &mut Vec<Import>) {
    let mut import = |last: Option<String>, name: Option<String>| {
        let path = path.iter().cloned().chain(last).collect();
        imports.push(Import { path, name, public });
    };
    match tree {
        UseTree::Path(segment) => {
            path.push(segment.ident.to_string());
            flatten(&segment.tree, path, public, imports);
            path.pop();
        }
        UseTree::Name(name) if name.ident == "self" => import(None, path.last().cloned()),
        UseTree::Name(name) => import(Some(name.ident.to_string()), Some(name.ident.to_string())),
        UseTree::Rename(name) if name.ident == "self" => import(None, Some(name.rename.to_string())),
        UseTree::Rename(name) => import(Some(name.ident.to_string()), Some(name.rename.to_string())),
        UseTree::Glob(_) => import(None, None),
        UseTree::Group(group) => group.items.iter().for_each(|tree| flatten(tree, path, public, imports)),
    }
}

/// The kind and the name of an item that has a name.
fn definition(item: &Item) -> Option<(&'static str, String)> {
    let (kind, ident) = match item {
        Item::Const(item) => ("const", &item.ident),
        Item::Enum(item) => ("enum", &item.ident),
        Item::Fn(item) => ("fn", &item.sig.ident),
        Item::Macro(item) => ("macro", item.ident.as_ref()?),
        Item::Static(item) => ("static", &item.ident),
        Item::Struct(item) => ("struct", &item.ident),
        Item::Trait(item) => ("trait", &item.ident),
        Item::Type(item) => ("type", &item.ident),
        Item::Union(item) => ("union", &item.ident),
        _ => return None,
    };
    Some((kind, ident.to_string()))
}

/// Whether an item is `inventory::submit!` or `inventory::collect!`.
fn is_registration(item: &Item) -> bool {
    let Item::Macro(item) = item else { return false };
    item.mac.path.segments.iter().any(|segment| segment.ident == "inventory")
}

/// The first words of an item without a name.
fn opening(item: &Item) -> String {
    let kind = match item {
        Item::Impl(_) => "impl",
        Item::Macro(_) => "macro call",
        _ => "item",
    };
    kind.to_owned()
}

fn attributes(item: &Item) -> &[syn::Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Whether attributes include `#[cfg(test)]` or `#[cfg(all(test, …))]`.
fn is_test(attributes: &[syn::Attribute]) -> bool {
    let is_test = |attribute: &&syn::Attribute| {
        let syn::Meta::List(list) = &attribute.meta else { return false };
        let text = list.tokens.to_string();
        list.path.is_ident("cfg")
            && (text == "test" || text.starts_with("all (test ,") || text.starts_with("all(test,"))
    };
    attributes.iter().find(is_test).is_some()
}
