//! A coordinator in memory: transactions that make rows visible, keep notes, and fail or refuse when they are told to.

use std::any::Any;
use std::sync::Arc;

use aqpipe_engine::record::{LaneId, Span};
use aqpipe_engine::stage::{Coordinator, Decision, Joining, Notes, Opened, Transaction, Transactions};
use aqpipe_engine::{Error, Result};
use parking_lot::Mutex;

use crate::stages::World;

/// What a cut's rows become by a transaction.
pub(crate) struct Deposit {
    pub(crate) name: String,
    pub(crate) lane: LaneId,
    pub(crate) span: Span,
    pub(crate) values: Vec<f64>,
}

/// What the coordinator keeps.
#[derive(Default)]
pub(crate) struct Vault {
    notes: Mutex<Notes>,
    /// The transaction that is to be refused, counted from now, if any.
    pub(crate) refuse: Mutex<Option<u64>>,
    /// Why it cannot decide.
    pub(crate) unable: Mutex<Option<String>>,
    pub(crate) place: Mutex<String>,
}

pub(crate) struct Bank(pub(crate) Arc<World>);

impl Coordinator for Bank {
    fn open(&self, _: &str, _: &str) -> Result<Opened> {
        self.0.step("open")?;
        if let Some(reason) = self.0.vault.unable.lock().clone() {
            return Ok(Opened::Unable(reason));
        }
        let place = self.0.vault.place.lock().clone();
        let mut open = Open { world: Arc::clone(&self.0), notes: Notes::new(), place };
        open.refresh()?;
        Ok(Opened::Ready(Box::new(open)))
    }

    fn look(&self, _: &str) -> Result<Option<(String, Notes)>> {
        Ok(Some((String::new(), self.0.vault.notes.lock().clone())))
    }

    fn give_up(&self) {}
}

struct Open {
    world: Arc<World>,
    notes: Notes,
    place: String,
}

impl Transactions for Open {
    fn place(&self) -> &str {
        &self.place
    }

    fn name(&self) -> &str {
        "the bank"
    }

    fn refresh(&mut self) -> Result<()> {
        self.world.step("refresh")?;
        self.notes = self.world.vault.notes.lock().clone();
        Ok(())
    }

    fn notes(&self) -> &Notes {
        &self.notes
    }

    fn decide(&mut self, transaction: &Transaction<'_>) -> Result<Decision> {
        self.world.step("decide")?;
        let vault = &self.world.vault;
        let mut refuse = vault.refuse.lock();
        match *refuse {
            Some(0) if !transaction.outputs.is_empty() => {
                *refuse = None;
                self.world.regroup();
                return Ok(Decision::Refused { reason: "the lanes are somebody else's".to_owned() });
            }
            Some(left) => *refuse = Some(left.saturating_sub(1)),
            None => {}
        }
        drop(refuse);
        for output in &transaction.outputs {
            let output: &Joining = output;
            let deposit = <dyn Any>::downcast_ref::<Deposit>(&**output).ok_or_else(|| Error::bug("no deposit"))?;
            self.world.deposit(deposit);
        }
        let mut notes = vault.notes.lock();
        for (key, value) in &transaction.notes {
            match value {
                Some(value) => notes.insert(key.clone(), value.clone()),
                None => notes.remove(key),
            };
        }
        self.notes = notes.clone();
        drop(notes);
        // Decided, and nobody hears of it.
        self.world.step("decided")?;
        Ok(Decision::Committed)
    }

    fn settle(&mut self, _: &str) -> Result<()> {
        self.refresh()
    }
}
