//! A coordinator in memory: transactions that make rows visible, keep notes, and fail or refuse when they are told to.

use std::any::Any;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use aqpipe_engine::record::{OffsetRange, SplitId};
use aqpipe_engine::stage::{
    CommitMetadata, Decision, OpenOutcome, Transaction, TransactionLog, TransactionalBackend, TransactionalOutput,
};
use aqpipe_engine::{Error, Result};
use parking_lot::Mutex;

use crate::stages::SharedMemory;

/// What a checkpoint's rows become by a transaction.
pub(crate) struct FakeOutput {
    pub(crate) name: String,
    pub(crate) split: SplitId,
    pub(crate) span: OffsetRange,
    pub(crate) values: Vec<f64>,
}

/// What the coordinator keeps.
#[derive(Default)]
pub(crate) struct FakeTransactions {
    notes: Mutex<CommitMetadata>,
    /// The transaction that is to be refused, counted from now, if any.
    pub(crate) refuse: Mutex<Option<u64>>,
    /// The split that is lost while the first transaction with it and another one is decided, and the reason to refuse it.
    pub(crate) lose: Mutex<Option<SplitId>>,
    /// Why it cannot decide.
    pub(crate) unable: Mutex<Option<String>>,
    pub(crate) place: Mutex<String>,
}

pub(crate) struct FakeBackend(pub(crate) Arc<SharedMemory>);

impl TransactionalBackend for FakeBackend {
    fn open(&self, _: &str, _: &str) -> Result<OpenOutcome> {
        self.0.step("open")?;
        if let Some(reason) = self.0.transactions.unable.lock().clone() {
            return Ok(OpenOutcome::Unsupported(reason));
        }
        let place = self.0.transactions.place.lock().clone();
        let mut open = Open { memory: Arc::clone(&self.0), notes: CommitMetadata::new(), place };
        open.refresh()?;
        Ok(OpenOutcome::Open(Box::new(open)))
    }

    fn peek(&self, _: &str) -> Result<Option<(String, CommitMetadata)>> {
        Ok(Some((String::new(), self.0.transactions.notes.lock().clone())))
    }
}

fn deposit(output: &TransactionalOutput) -> Result<&FakeOutput> {
    <dyn Any>::downcast_ref::<FakeOutput>(&**output).ok_or_else(|| Error::bug("no deposit"))
}

struct Open {
    memory: Arc<SharedMemory>,
    notes: CommitMetadata,
    place: String,
}

impl TransactionLog for Open {
    fn cluster_id(&self) -> &str {
        &self.place
    }

    fn name(&self) -> &str {
        "the backend"
    }

    fn refresh(&mut self) -> Result<()> {
        self.memory.step("refresh")?;
        self.notes = self.memory.transactions.notes.lock().clone();
        Ok(())
    }

    fn metadata(&self) -> &CommitMetadata {
        &self.notes
    }

    fn decide(&mut self, transaction: &Transaction<'_>) -> Result<Decision> {
        self.memory.step("decide")?;
        let transactions = &self.memory.transactions;
        let mut refuse = transactions.refuse.lock();
        match *refuse {
            Some(0) if !transaction.outputs.is_empty() => {
                *refuse = None;
                self.memory.regroup();
                return Ok(Decision::Refused { reason: "the splits are somebody else's".to_owned() });
            }
            Some(left) => *refuse = Some(left.saturating_sub(1)),
            None => {}
        }
        drop(refuse);
        let splits: BTreeSet<&SplitId> =
            transaction.outputs.iter().filter_map(|output| Some(&deposit(output).ok()?.split)).collect();
        let mut lose = transactions.lose.lock();
        if lose.is_some() && splits.len() < 2 {
            // Checkpoints of both splits come for the next one.
            std::thread::sleep(Duration::from_millis(50));
        }
        let lost = lose.take_if(|split| splits.len() > 1 && splits.contains(split));
        drop(lose);
        if let Some(lost) = lost {
            self.memory.lose(&lost);
            return Ok(Decision::Refused { reason: format!("{lost} is somebody else's") });
        }
        for output in &transaction.outputs {
            self.memory.deposit(deposit(output)?);
        }
        let mut notes = transactions.notes.lock();
        for (key, value) in &transaction.metadata {
            match value {
                Some(value) => notes.insert(key.clone(), value.clone()),
                None => notes.remove(key),
            };
        }
        self.notes = notes.clone();
        drop(notes);
        // Decided, and nobody hears of it.
        self.memory.step("decided")?;
        Ok(Decision::Committed)
    }

    fn recover_writer(&mut self, _: &str) -> Result<()> {
        self.refresh()
    }
}
