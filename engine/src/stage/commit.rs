//! What stages have to do with commits: what a writer prepares, and who may decide in place of a ledger file.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::error::Result;
use crate::record::SplitId;

/// What a writer prepared at a barrier.
#[derive(Default)]
pub enum Prepared {
    /// Nothing was written.
    #[default]
    Nothing,
    /// It is durable and not visible. The bytes say what [`TwoPhaseCommit::commit`](super::TwoPhaseCommit::commit) and
    /// [`TwoPhaseCommit::abort`](super::TwoPhaseCommit::abort) need to know: names, lengths, checksums.
    Staged(Vec<u8>),
    /// It waits in memory, to become part of the transaction that decides the checkpoint. Only an end whose
    /// [coordinator](Coordinator) is open hands this out; dropping it undoes it.
    Transactional(TransactionalOutput),
}

/// Output that becomes part of a transaction: a type that the end and its coordinator agree on.
pub type TransactionalOutput = Box<dyn Any + Send>;

impl Prepared {
    /// The bytes of what is apart, empty for anything else.
    #[must_use]
    pub fn staged(&self) -> &[u8] {
        match self {
            Prepared::Staged(bytes) => bytes,
            _ => &[],
        }
    }
}

impl From<Vec<u8>> for Prepared {
    /// Bytes of what is durable; none say that nothing was written.
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

/// What proves to a coordinator that a split is still this process's: the membership in a consumer group as it was when
/// the split was opened. Opaque to the engine.
pub type FencingToken = Arc<dyn Any + Send + Sync>;

/// Something outside this process that can decide a pipeline's commits: output, positions and state become true
/// together in one of its transactions. All stages of a pipeline that can be part of one return the same.
pub trait TransactionalBackend: Send + Sync {
    /// Gets ready to decide, as the `writer` of a pipeline: settles what a dead process of that name left, and keeps a
    /// live one from deciding anything more. Waits for a broker that is away.
    ///
    /// # Errors
    /// Where waiting does not mend it, or [`abandon`](Self::abandon) ended the wait.
    fn open(&self, pipeline: &str, writer: &str) -> Result<OpenOutcome>;

    /// The notes of a pipeline as they are now, without taking part in anything.
    ///
    /// # Errors
    /// Where they cannot be read.
    fn peek(&self, pipeline: &str) -> Result<Option<(String, CommitMetadata)>>;

    /// Ends every wait, now and later.
    fn abandon(&self);
}

/// What came of opening a [`TransactionalBackend`].
pub enum OpenOutcome {
    /// It decides from now on.
    Open(Box<dyn TransactionLog>),
    /// It cannot, for this reason: no right to transactions, ends on two clusters, a broker that has none.
    Unsupported(String),
}

/// Values by key, kept together with what was decided. The keys are the engine's, the values are bytes to the
/// coordinator.
pub type CommitMetadata = BTreeMap<String, Vec<u8>>;

/// One transaction.
pub struct Transaction<'a> {
    /// Identifies it: no other transaction of any process has the same number.
    pub id: u64,
    /// What is to be noted; `None` removes a note.
    pub metadata: Vec<(String, Option<Vec<u8>>)>,
    /// Output that becomes visible by it. It stays with the caller, for the transaction may have to be made again.
    pub outputs: Vec<&'a TransactionalOutput>,
    /// The ends of what was read of splits that have a fence.
    pub source_offsets: Vec<(SplitId, u64)>,
    /// The fence of those splits.
    pub fencing_token: Option<FencingToken>,
}

/// What became of checkpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// They are true.
    Committed,
    /// They are not, and never will be: their splits belong to another process by now.
    Refused {
        /// Why.
        reason: String,
    },
}

/// An open [`TransactionalBackend`].
pub trait TransactionLog: Send {
    /// What identifies the place where the notes are kept: a cluster's id.
    fn cluster_id(&self) -> &str;

    /// What it is called in a message: `the transaction aqpipe.producer`.
    fn name(&self) -> &str;

    /// Learns of every transaction that was decided before this call, by whichever process.
    ///
    /// # Errors
    /// Where the notes cannot be read.
    fn refresh(&mut self) -> Result<()>;

    /// The notes of the pipeline as of the last refresh, and what was decided here since.
    fn metadata(&self) -> &CommitMetadata;

    /// Has a transaction decided. Repeats what can be repeated.
    ///
    /// # Errors
    /// Where it was not decided, or it is not known whether it was: the pipeline ends, and the next start finds out by
    /// what is noted.
    fn decide(&mut self, transaction: &Transaction<'_>) -> Result<Decision>;

    /// Forgets, with the next transaction, what it noted of itself for writers that the engine forgets.
    fn forget_writers(&mut self, _writers: &[String]) {}

    /// Settles what another writer of the pipeline left undecided, of which the caller knows that it is dead; a refresh
    /// is part of it.
    ///
    /// # Errors
    /// Where that cannot be done.
    fn recover_writer(&mut self, writer: &str) -> Result<()>;
}
