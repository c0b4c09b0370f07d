//! What a run leaves behind that stopped because too many records became dead letters, for the next start with the same options.

use std::path::{Path, PathBuf};

/// The file beside the ledger.
const FILE: &str = "too-many-dead-letters";

/// Marks that a run with some options lost too many records.
#[derive(Clone, Debug)]
pub(super) struct LossMarker {
    path: PathBuf,
    options: String,
}

impl LossMarker {
    /// The marker in a slot of the state directory, of a run with options of this hash.
    pub(super) fn new(slot: &Path, options_hash: u32) -> LossMarker {
        LossMarker { path: slot.join(FILE), options: format!("{options_hash:08x}\n") }
    }

    /// Leaves it. Best effort: without it the next start counts as any other.
    pub(super) fn leave(&self) {
        if let Err(error) = std::fs::write(&self.path, &self.options) {
            tracing::debug!("{}: {error}", self.path.display());
        }
    }

    /// Takes it away, and returns whether a run with these options left it.
    pub(super) fn take(&self) -> bool {
        let left = std::fs::read_to_string(&self.path).is_ok_and(|options| options == self.options);
        let _ = std::fs::remove_file(&self.path);
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_taken_once_and_by_a_run_with_the_same_options() {
        let slot = tempfile::tempdir().expect("a directory");
        let (one, other) = (LossMarker::new(slot.path(), 1), LossMarker::new(slot.path(), 2));
        assert!(!one.take());
        one.leave();
        assert!(one.take() && !one.take());
        one.leave();
        assert!(!other.take() && !one.take());
    }
}
