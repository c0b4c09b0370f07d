//! Commits: checkpoints of splits become true together, and the next start finds out what did.
//!
//! The [`committer`] takes finished checkpoints, has the [`CommitLog`] decide them in one act, and has the sinks make their
//! output visible. There are two logs: a [`ledger`] file, and a backend's transactions, with [`metadata`] under typed [keys](key).
//! At the next start [`recovery`] rolls forward what was committed and back what was not, and [`reconcile`] says where each
//! split goes on.

mod checkpoint;
mod committer;
mod key;
mod ledger;
mod ledger_frames;
mod ledger_log;
mod log;
mod metadata;
mod metadata_commit;
mod open;
mod reconcile;
mod recovery;
mod split_change;
mod transactional_log;

pub(super) use checkpoint::{Checkpoint, LastRun, RunRecord};
pub(super) use committer::Committer;
pub(super) use key::Key;
pub(super) use ledger::{Entry as LedgerEntry, Ledger, State as LedgerState};
pub(super) use log::{CommitLog, OpenOptions};
pub(super) use metadata::{ProgressValue, RunValue, get, split_state, splits, writers};
pub(super) use open::open;
pub(super) use recovery::{make_visible, recover, recover_orphans};
pub(super) use split_change::SplitChange;
pub(super) use transactional_log::peek_last_run;
