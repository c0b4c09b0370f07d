//! What a writer prepares for a commit, and the backend whose transactions can commit it in place of a ledger file.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::error::Result;
use crate::record::SplitId;

/// The output that a writer prepared for a checkpoint.
#[derive(Default)]
pub enum Prepared {
    /// Nothing was written.
    #[default]
    Nothing,
    /// It is durable and not visible. [`TwoPhaseCommit`](super::TwoPhaseCommit) gets these bytes back: names, lengths,
    /// checksums.
    Staged(Vec<u8>),
    /// It waits in memory, to become part of the transaction that commits the checkpoint. Only a sink whose
    /// [backend](TransactionalBackend) is open hands this out. Dropping it aborts it.
    Transactional(TransactionalOutput),
}

/// Output that becomes part of a transaction: a type that the sink and its backend agree on.
pub type TransactionalOutput = Box<dyn Any + Send>;

impl Prepared {
    /// The bytes of staged output, empty for any other.
    #[must_use]
    pub fn staged(&self) -> &[u8] {
        match self {
            Prepared::Staged(bytes) => bytes,
            _ => &[],
        }
    }

    /// The output that is to become part of a transaction.
    #[must_use]
    pub fn transactional(&self) -> Option<&TransactionalOutput> {
        match self {
            Prepared::Transactional(output) => Some(output),
            _ => None,
        }
    }
}

impl From<Vec<u8>> for Prepared {
    /// The bytes of staged output; no bytes mean that nothing was written.
    fn from(bytes: Vec<u8>) -> Prepared {
        if bytes.is_empty() { Prepared::Nothing } else { Prepared::Staged(bytes) }
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Prepared::Nothing => f.write_str("Nothing"),
            Prepared::Staged(bytes) => write!(f, "Staged({} bytes)", bytes.len()),
            Prepared::Transactional(_) => f.write_str("Transactional"),
        }
    }
}

/// The proof that a split is still this process's: its membership in a consumer group when the split was opened. Opaque to
/// the engine.
pub type FencingToken = Arc<dyn Any + Send + Sync>;

/// A service outside this process whose transactions can commit a pipeline's output, positions and state together. All
/// stages of a pipeline that can take part return the same one.
pub trait TransactionalBackend: Send + Sync {
    /// Opens the log of transactions as the `writer` of a pipeline: recovers what a dead process of that name left, and fences
    /// a live one. Waits for a broker that is away.
    ///
    /// # Errors
    /// Where waiting does not help, or the run [abandons](crate::cancel::CancellationToken) its waits.
    fn open(&self, pipeline: &str, writer: &str) -> Result<OpenOutcome>;

    /// The cluster's id and the commit metadata of a pipeline as they are now. Takes part in no transaction.
    ///
    /// # Errors
    /// Where they cannot be read.
    fn peek(&self, pipeline: &str) -> Result<Option<(String, CommitMetadata)>>;
}

/// The outcome of [`TransactionalBackend::open`].
pub enum OpenOutcome {
    /// Transactions commit from now on.
    Open(Box<dyn TransactionLog>),
    /// There are no transactions, for this reason: no right to them, sinks on two clusters, a broker without them.
    Unsupported(String),
}

/// Values by key that transactions write together with the output. The keys are the engine's; the values are bytes to the
/// backend.
pub type CommitMetadata = BTreeMap<String, Vec<u8>>;

/// One transaction.
pub struct Transaction<'a> {
    /// Its identity: no other transaction of any process has the same.
    pub id: u64,
    /// The metadata to write; `None` deletes a value.
    pub metadata: Vec<(String, Option<Vec<u8>>)>,
    /// The output that becomes visible. It stays with the caller, for the transaction may have to be repeated.
    pub outputs: Vec<&'a TransactionalOutput>,
    /// The committed offsets of splits that have a fencing token.
    pub source_offsets: Vec<(SplitId, u64)>,
    /// The fencing tokens of those splits, in their order.
    pub fencing_tokens: Vec<FencingToken>,
}

/// The decision about checkpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// They are committed.
    Committed,
    /// They are not and never will be, for their splits belong to another process by now.
    Refused {
        /// The reason.
        reason: String,
    },
}

/// The log of transactions of an open [`TransactionalBackend`].
pub trait TransactionLog: Send {
    /// The id of the cluster that keeps the metadata.
    fn cluster_id(&self) -> &str;

    /// Its name in a message: `the transaction aqpipe.producer`.
    fn name(&self) -> &str;

    /// Reads the metadata of every transaction that any process committed before this call.
    ///
    /// # Errors
    /// Where the metadata cannot be read.
    fn refresh(&mut self) -> Result<()>;

    /// The metadata of the pipeline as of the last refresh, and of what was committed here since.
    fn metadata(&self) -> &CommitMetadata;

    /// Commits a transaction. Repeats what can be repeated.
    ///
    /// # Errors
    /// Where the transaction was not committed, or its outcome is unknown. The pipeline then ends, and the next start reads
    /// the outcome from the metadata.
    fn decide(&mut self, transaction: &Transaction<'_>) -> Result<Decision>;

    /// Deletes, with the next transaction, what it keeps for writers that the engine forgets.
    fn forget_writers(&mut self, _writers: &[String]) {}

    /// Aborts what another writer of the pipeline left open, and refreshes. The caller knows that this writer is dead.
    ///
    /// # Errors
    /// Where that cannot be done.
    fn recover_writer(&mut self, writer: &str) -> Result<()>;
}
