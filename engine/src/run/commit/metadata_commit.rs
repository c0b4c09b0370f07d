//! Transactions that write commit metadata alone.

use super::key::Key;
use super::metadata::Change;
use crate::error::{Error, Result};
use crate::run::replay::REPLAY;
use crate::stage::{Decision, OpenOutcome, Transaction, TransactionLog, TransactionalBackend};

/// Deletes the commit metadata of a pipeline whose commits a ledger decides now.
pub(super) fn reset(backend: &dyn TransactionalBackend, pipeline: &str) -> Result<()> {
    match backend.open(pipeline, REPLAY)? {
        OpenOutcome::Open(mut transactions) => reset_metadata(&mut *transactions),
        OpenOutcome::Unsupported(reason) => {
            Err(Error::config(format!("what transactions recorded cannot be deleted: {reason}")).help(
                "run `--fresh` where it can be, or remove the state directory: the metadata then stays, and counts once there \
                 are transactions again",
            ))
        }
    }
}

/// Deletes all commit metadata, and says that it was deleted on purpose.
pub(super) fn reset_metadata(transactions: &mut dyn TransactionLog) -> Result<()> {
    let reset = Key::Reset.to_string();
    let mut changes: Vec<Change> =
        transactions.metadata().keys().filter(|key| **key != reset).map(|key| (key.clone(), None)).collect();
    if transactions.metadata().is_empty() {
        return Ok(());
    }
    // Other state directories know that there was something.
    changes.push((reset, Some(Vec::new())));
    commit_metadata(transactions, changes)
}

/// Writes commit metadata in a transaction of its own.
pub(super) fn commit_metadata(transactions: &mut dyn TransactionLog, metadata: Vec<Change>) -> Result<()> {
    let (outputs, source_offsets) = (Vec::new(), Vec::new());
    let transaction = Transaction { id: rand::random(), metadata, outputs, source_offsets, fencing_tokens: Vec::new() };
    match transactions.decide(&transaction)? {
        Decision::Committed => Ok(()),
        Decision::Refused { reason } => Err(Error::new(format!("the commit was refused: {reason}"))),
    }
}
