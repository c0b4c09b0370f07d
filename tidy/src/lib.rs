//! Which file may use which. `tests/workspace.rs` holds the sources of the workspace to five rules:
//!
//! 1. **Crates** use only those below them. The manifests say what they use.
//! 2. **Rooms** of a crate (its top-level modules) use only rooms of lower tiers. A path counts for the room that it names
//!    and for the room of the file in which the named item is defined.
//! 3. **Files** of a crate form no circle.
//! 4. **Faces** (`mod.rs`) hold no logic: modules, re-exports, documentation and `inventory` registrations alone.
//! 5. No file **imports everything** from a module of the crate (`use super::*`): its arrows could not be seen.
//!
//! # What an arrow is
//! A file has an arrow to another where it names something there: in a `use`, or in any path that begins with `crate`,
//! `self`, `super`, a child module or an imported module, also inside the tokens of a macro. A path through a re-export
//! (`pub use`, of any visibility) leads to the file that defines the item. A path to an item that a module only imports, or
//! that no parsed file defines, leads to the module's own file. A file that is more than a face has an arrow to each of its
//! child modules, too: whoever reads it reads them, so a child that uses a definition of its parent closes a circle.
//!
//! A file that holds nothing but modules, imports, re-exports and registrations is a face, and no part of a circle. Code
//! under `#[cfg(test)]` counts for nothing, as do paths in visibilities and calls of methods.

mod arrows;
mod crate_source;
mod manifests;
mod module_tree;
mod resolve;
mod rules;
mod tokens;

pub use arrows::{Arrow, arrows};
pub use crate_source::{CrateSource, read_crate};
pub use manifests::{dependencies, members};
pub use module_tree::ModuleTree;
pub use rules::{Circle, circles, glob_imports, logic_in_faces, upward_arrows};

#[cfg(test)]
mod tests;
