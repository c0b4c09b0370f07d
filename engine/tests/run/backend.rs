//! A coordinator in memory: transactions that make rows visible, keep notes, and fail or refuse when they are told to.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

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

/// How long one split waits for another that is to be lost in a commit of both.
const BOTH_TIMEOUT: Duration = Duration::from_secs(20);

/// Outputs of a split that were prepared.
#[derive(Default)]
struct PreparedCount {
    all: u64,
    /// Of these, those that wait to be decided.
    waiting: u64,
}

/// What the coordinator keeps.
#[derive(Default)]
pub(crate) struct FakeTransactions {
    notes: Mutex<CommitMetadata>,
    /// The transaction that is to be refused, counted from now, if any.
    pub(crate) refuse: Mutex<Option<u64>>,
    /// The split that is lost while the first transaction with it and another one is decided, and the reason to refuse it.
    pub(crate) lose: Mutex<Option<SplitId>>,
    prepared: Mutex<BTreeMap<SplitId, PreparedCount>>,
    /// Why it cannot decide.
    pub(crate) unable: Mutex<Option<String>>,
    pub(crate) place: Mutex<String>,
    /// How many entries of state all transactions noted.
    pub(crate) entries_noted: AtomicU64,
}

impl FakeTransactions {
    /// An output of a split is prepared. While a split is to be lost, none runs ahead of the others, so that commits of several
    /// come.
    pub(crate) fn prepared(&self, split: &SplitId) {
        self.wait_to_lose(|prepared| {
            let own = prepared.get(split).map_or(0, |count| count.all);
            own == 0 || (prepared.len() > 1 && prepared.values().all(|other| other.all >= own))
        });
        let mut prepared = self.prepared.lock();
        let count = prepared.entry(SplitId::clone(split)).or_default();
        (count.all, count.waiting) = (count.all + 1, count.waiting + 1);
    }

    fn decided(&self, splits: &[&SplitId]) {
        let mut prepared = self.prepared.lock();
        for split in splits {
            prepared.entry(SplitId::clone(split)).and_modify(|count| count.waiting = count.waiting.saturating_sub(1));
        }
    }

    /// Waits until that holds, while a split is to be lost.
    fn wait_to_lose(&self, holds: impl Fn(&BTreeMap<SplitId, PreparedCount>) -> bool) {
        let started = Instant::now();
        while self.lose.lock().is_some() && !holds(&self.prepared.lock()) && started.elapsed() < BOTH_TIMEOUT {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
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
        let all: Vec<&SplitId> =
            transaction.outputs.iter().filter_map(|output| Some(&deposit(output).ok()?.split)).collect();
        transactions.decided(&all);
        let splits: BTreeSet<&SplitId> = all.into_iter().collect();
        if splits.len() == 1 {
            // Then checkpoints of both splits are there for the next one.
            transactions.wait_to_lose(|prepared| prepared.values().filter(|one| one.waiting > 0).count() > 1);
        }
        let lost = transactions.lose.lock().take_if(|split| splits.len() > 1 && splits.contains(split));
        if let Some(lost) = lost {
            self.memory.lose(&lost);
            return Ok(Decision::Refused { reason: format!("{lost} is somebody else's") });
        }
        for output in &transaction.outputs {
            self.memory.deposit(deposit(output)?);
        }
        let entries = transaction.metadata.iter().filter(|(key, value)| key.starts_with("state/") && value.is_some());
        transactions.entries_noted.fetch_add(entries.count() as u64, Ordering::SeqCst);
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
