//! Where a new crate finds the crates of aqpipe.

use std::fs;
use std::path::{Path, PathBuf};

/// The crates that a stage and its `main` need, with their directories in the workspace.
const CRATES: [(&str, &str); 3] = [("aqpipe", "cli"), ("aqpipe-engine", "engine"), ("aqpipe-stages", "stages")];

/// The source of the crates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Engine {
    /// A workspace on this machine.
    Path(PathBuf),
    /// A Git repository.
    Git(String),
}

impl Engine {
    /// The source that `--engine` names, or the workspace around `current_dir`.
    ///
    /// # Errors
    /// Where there is none.
    pub(super) fn find(given: Option<&str>, current_dir: &Path) -> Result<Engine, String> {
        match given {
            Some(url) if url.contains("://") || url.starts_with("git@") => Ok(Engine::Git(url.to_owned())),
            Some(path) => {
                let dir = current_dir.join(path);
                let dir = dir.canonicalize().ok().filter(|dir| is_workspace(dir));
                dir.map(Engine::Path).ok_or_else(|| format!("the crates of aqpipe are not in `{path}`"))
            }
            None => {
                let found = current_dir.ancestors().find(|dir| is_workspace(dir));
                let none = || format!("no directory around `{}` has the crates of aqpipe", current_dir.display());
                found.map(|dir| Engine::Path(dir.to_owned())).ok_or_else(none)
            }
        }
    }

    /// The lines of `[dependencies]`.
    pub(super) fn dependencies(&self) -> String {
        let line = |(name, dir): (&str, &str)| match self {
            Engine::Path(workspace) => format!("{name} = {{ path = {:?} }}\n", workspace.join(dir)),
            Engine::Git(url) => format!("{name} = {{ git = {url:?} }}\n"),
        };
        CRATES.into_iter().map(line).collect()
    }

    /// The lock file of the workspace: the versions of all crates that aqpipe is tested with.
    pub(super) fn lock_file(&self) -> Option<String> {
        match self {
            Engine::Path(workspace) => fs::read_to_string(workspace.join("Cargo.lock")).ok(),
            Engine::Git(_) => None,
        }
    }
}

fn is_workspace(dir: &Path) -> bool {
    CRATES.iter().all(|(name, subdir)| {
        let manifest = fs::read_to_string(dir.join(subdir).join("Cargo.toml"));
        manifest.is_ok_and(|text| text.lines().any(|line| line == format!("name = \"{name}\"")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_is_found_upward_and_by_its_path() {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
        let found = Engine::find(None, &workspace.join("cli/src")).expect("upward");
        assert_eq!(found, Engine::Path(workspace.to_owned()));
        assert!(found.dependencies().contains("aqpipe-engine = { path = \""), "{}", found.dependencies());
        assert!(Engine::find(Some(".."), Path::new(env!("CARGO_MANIFEST_DIR"))).is_ok());
    }

    #[test]
    fn a_repository_is_known_by_its_url_and_another_directory_is_refused() {
        let git = Engine::find(Some("https://example.org/aqpipe.git"), Path::new("/")).expect("a URL");
        assert!(git.dependencies().contains("aqpipe = { git = \"https://example.org/aqpipe.git\" }\n"));
        assert!(Engine::find(Some("nowhere"), Path::new("/")).is_err());
        assert!(Engine::find(None, Path::new("/")).is_err());
    }
}
