//! The transforms of one split, one after the other: a chain that accounts for every row of every stage.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use arrow_array::BooleanArray;

use super::guard;
use super::observer::{Observer, Passed};
use crate::config::Pipeline;
use crate::error::{Error, Result};
use crate::metrics::{StageMetrics, StageRole, StageSnapshot};
use crate::record::{Batch, Origin};
use crate::stage::{BuildContext, DeadLetter, Output, State, StateChanges, Transform, TransformConfig};

/// A transform in a chain.
struct ChainStage {
    /// The name of the stage in the pipeline; its state is found by it.
    id: String,
    /// Its `type`.
    kind: &'static str,
    config: Arc<dyn TransformConfig>,
    cx: BuildContext,
    transform: Box<dyn Transform>,
    /// The rows that it held after the last call.
    held: u64,
    metrics: Arc<StageMetrics>,
    /// The state at the last checkpoint, of a transform that does not tell what changed since.
    saved: Option<State>,
    /// Whether it told its state, so that it tells only what changed since.
    has_told: bool,
    /// Where rows may have to be given back.
    mark: Option<Mark>,
}

/// The state of a transform to come back to, and what changed of it since the last checkpoint.
#[derive(Default)]
struct Mark {
    state: Option<State>,
    changes: Option<StateChanges>,
}

/// The transforms of one split.
pub(crate) struct Chain {
    stages: Vec<ChainStage>,
    observer: Option<Arc<dyn Observer>>,
    cx: BuildContext,
    /// The parts of records that go on (see [`SplitReader::parts`](crate::stage::SplitReader::parts)).
    parts: Vec<(u64, String)>,
}

/// The stages of a chain that is to replace another one.
pub(crate) struct Candidate(Vec<Slot>);

enum Slot {
    /// The stage at this place of the old chain.
    Kept(usize),
    New(Box<ChainStage>),
}

/// The output at the end of a chain.
#[derive(Debug, Default)]
pub(crate) struct ChainOutput {
    pub(crate) batches: Vec<Batch>,
    pub(crate) dead: Vec<DeadLetter>,
    pub(crate) filtered: u64,
    pub(crate) made: u64,
    pub(crate) merged: u64,
}

impl ChainStage {
    fn build(id: &str, kind: &'static str, config: &Arc<dyn TransformConfig>, cx: BuildContext) -> Result<ChainStage> {
        let transform = guard::call(id, || config.build(&cx))?;
        let metrics = cx.metrics.stage(StageRole::Transform, id);
        let held = transform.held();
        Ok(ChainStage {
            id: id.to_owned(),
            kind,
            config: Arc::clone(config),
            cx,
            transform,
            held,
            metrics,
            saved: None,
            has_told: false,
            mark: None,
        })
    }

    /// Calls the transform and accounts for its rows:
    /// `held before + in + made = out + dead letters + filtered + merged + held after`.
    fn call(
        &mut self,
        rows_in: u64,
        act: impl FnOnce(&mut dyn Transform, &mut Output) -> Result<()>,
    ) -> Result<Output> {
        let mut out = Output::default();
        let started = self.cx.clock.now();
        let held = guard::call(&self.id, || {
            act(&mut *self.transform, &mut out)?;
            Ok(self.transform.held())
        })?;
        let rows_out: u64 = out.batches.iter().map(|batch| batch.rows() as u64).sum();
        let dead = out.dead.len() as u64;
        let Output { filtered, made, merged, .. } = out;
        if (made > 0 || merged > 0) && !self.config.changes_number_of_rows() {
            return Err(Error::new(format!("it made {made} rows and merged {merged}, which it does not say it does"))
                .in_stage(&self.id)
                .help("this is a mistake in the stage: `changes_number_of_rows` must be true for such a stage"));
        }
        if self.held + rows_in + made != rows_out + dead + filtered + merged + held {
            return Err(Error::new(format!(
                "its rows do not add up: {} held before, {rows_in} in and {made} made, but {rows_out} out, {dead} dead \
                 letters, {filtered} filtered, {merged} merged and {held} held after",
                self.held
            ))
            .in_stage(&self.id)
            .help("this is a mistake in the stage: every row that comes in leaves once, or counts in `held`"));
        }
        self.held = held;
        let took = self.cx.clock.now() - started;
        self.metrics.add(&StageSnapshot { rows_in, rows_out, dead, filtered, made, merged, time: took });
        Ok(out)
    }

    fn save(&self) -> Result<State> {
        let state = guard::call(&self.id, || self.transform.save())?;
        Ok(state.saved_by(self.kind, self.held))
    }

    /// What changed of its state since the last checkpoint; everything at the first one. `None` where there is no state.
    fn save_changes(&mut self) -> Result<Option<StateChanges>> {
        if self.mark.is_none() {
            return self.tell_changes();
        }
        self.set_mark()?;
        Ok(self.mark.as_mut().and_then(|mark| mark.changes.take()))
    }

    /// Notes the state, to come back to it. That takes as long as what changed since the last call is large.
    fn set_mark(&mut self) -> Result<()> {
        if self.mark.is_none() && self.has_told {
            // A new transform with the same state tells all of it.
            let state = self.save()?;
            self.build_again(Some(&state))?;
        }
        let changes = self.tell_changes()?;
        let mark = self.mark.get_or_insert_default();
        let Some(changes) = changes else {
            *mark = Mark::default();
            return Ok(());
        };
        mark.state.get_or_insert_default().apply(changes.clone());
        match &mut mark.changes {
            Some(earlier) => earlier.then(changes),
            None => mark.changes = Some(changes),
        }
        Ok(())
    }

    /// Back to where the mark was set. Rows that came since are forgotten.
    fn back_to_mark(&mut self) -> Result<()> {
        let state = self.mark.as_ref().and_then(|mark| mark.state.clone());
        self.build_again(state.as_ref())
    }

    /// Builds the transform anew, with a state.
    fn build_again(&mut self, state: Option<&State>) -> Result<()> {
        self.transform = guard::call(&self.id, || self.config.build(&self.cx))?;
        (self.held, self.saved, self.has_told) = (self.transform.held(), None, false);
        state.map_or(Ok(()), |state| self.restore(state))
    }

    /// What changed of its state since the last call; everything at the first one. `None` where there is no state.
    fn tell_changes(&mut self) -> Result<Option<StateChanges>> {
        self.has_told = true;
        if let Some(changes) = guard::call(&self.id, || self.transform.save_changes())? {
            return Ok(Some(changes.saved_by(self.kind, self.held)));
        }
        let state = self.save()?;
        if state.is_empty() && state.held() == 0 {
            self.saved = None;
            return Ok(None);
        }
        let changes = match &self.saved {
            Some(before) => StateChanges::between(before, &state),
            None => StateChanges::whole(state.clone()),
        };
        self.saved = Some(state);
        Ok(Some(changes))
    }

    /// Takes over a saved state. A transform that then holds other rows than it did would lose some, or invent them.
    fn restore(&mut self, state: &State) -> Result<()> {
        guard::call(&self.id, || if state.is_empty() { Ok(()) } else { self.transform.restore(state) })?;
        self.held = self.transform.held();
        if self.held == state.held() {
            return Ok(());
        }
        Err(Error::new(format!(
            "it held {} rows when its state was saved, and holds {} after that state was restored",
            state.held(),
            self.held
        ))
        .in_stage(&self.id)
        .help("this is a mistake in the stage: `save` and `restore` must keep all rows that `held` counts"))
    }
}

impl ChainStage {
    /// The same stage with other options, which takes over the state.
    fn replaced_by(&self, config: &Arc<dyn TransformConfig>, fitted: Option<Arc<[u8]>>) -> Result<ChainStage> {
        let mut new = ChainStage::build(&self.id, self.kind, config, self.cx.clone().with_fitted(fitted))?;
        new.restore(&self.save()?)?;
        Ok(new)
    }

    fn holds_rows(&self, change: &str) -> Error {
        Error::config(format!("it holds {} rows, so that it cannot be changed now: it {change}", self.held))
            .in_stage(&self.id)
            .help("stop the pipeline, or wait until the stage has released its rows")
    }
}

impl Chain {
    /// The first `count` transforms of a pipeline, with what each learned from the whole input.
    pub(crate) fn build(
        pipeline: &Pipeline,
        count: usize,
        cx: &BuildContext,
        fitted: &[Option<Arc<[u8]>>],
    ) -> Result<Chain> {
        let cx = match pipeline.source.config.changing_clock() {
            Some(zone) => cx.clone().with_changing_clock(&zone),
            None => cx.clone(),
        };
        let stages = pipeline.transforms.iter().take(count).enumerate().map(|(i, stage)| {
            let cx = cx.for_stage(&stage.label).with_fitted(fitted.get(i).cloned().flatten());
            ChainStage::build(&stage.label, stage.kind, &stage.config, cx)
        });
        Ok(Chain { stages: stages.collect::<Result<_>>()?, observer: None, cx, parts: Vec::new() })
    }

    /// The same with an observer of what each stage takes and gives.
    pub(crate) fn observed_by(mut self, observer: Option<Arc<dyn Observer>>) -> Chain {
        self.observer = observer;
        self
    }

    /// From now on, only these parts of records go on behind the stage that makes rows of them.
    pub(crate) fn only_parts(&mut self, parts: Vec<(u64, String)>) {
        self.parts = parts;
    }

    /// Puts a batch through all of them.
    pub(crate) fn apply(&mut self, batch: Batch) -> Result<ChainOutput> {
        let mut out = ChainOutput::default();
        self.push(0, batch, &mut out)?;
        Ok(out)
    }

    /// The input has ended: all held rows go on, through the later transforms too.
    pub(crate) fn finish(&mut self) -> Result<ChainOutput> {
        let out = self.each(|transform, out| transform.finish(out))?;
        match self.stages.iter().find(|stage| stage.held > 0) {
            None => Ok(out),
            Some(stage) => Err(Error::new(format!("it still holds {} rows after the end of the input", stage.held))
                .in_stage(&stage.id)
                .help("this is a mistake in the stage: `finish` must emit all held rows")),
        }
    }

    /// Rows that waited long enough go on.
    pub(crate) fn tick(&mut self, now: Instant) -> Result<ChainOutput> {
        self.each(|transform, out| transform.tick(now, out))
    }

    fn each(&mut self, act: impl Fn(&mut dyn Transform, &mut Output) -> Result<()>) -> Result<ChainOutput> {
        let mut chain_out = ChainOutput::default();
        for i in 0..self.stages.len() {
            let out = self.stages[i].call(0, &act)?;
            self.pass(i, None, out, &mut chain_out)?;
        }
        Ok(chain_out)
    }

    fn push(&mut self, i: usize, batch: Batch, chain_out: &mut ChainOutput) -> Result<()> {
        if batch.rows() == 0 {
            return Ok(());
        }
        let Some(stage) = self.stages.get_mut(i) else {
            chain_out.batches.push(batch);
            return Ok(());
        };
        let input = self.observer.is_some().then(|| batch.clone());
        let out = stage.call(batch.rows() as u64, |transform, out| transform.apply(batch, out))?;
        self.pass(i, input.as_ref(), out, chain_out)
    }

    fn pass(&mut self, i: usize, input: Option<&Batch>, out: Output, chain_out: &mut ChainOutput) -> Result<()> {
        let id = &self.stages[i].id;
        if let Some(observer) = &self.observer {
            observer.passed(&Passed { stage: id, input, output: &out });
        }
        chain_out.filtered += out.filtered;
        chain_out.made += out.made;
        chain_out.merged += out.merged;
        let is_changed = self.stages[..i].iter().any(|stage| stage.config.changes_number_of_rows());
        let letter = |letter| DeadLetter { stage: id.clone(), ..letter };
        let letters = out.dead.into_iter().map(letter);
        let letters = letters.map(|letter| if is_changed { letter.with_its_records() } else { letter });
        let makes_parts = !self.parts.is_empty() && self.stages[i].config.changes_number_of_rows();
        for letter in letters {
            let part = Origin { source_offset: letter.source_offset, part: letter.part.clone(), raw: None };
            if !makes_parts || part.is_within(&self.parts) {
                chain_out.dead.push(letter);
            } else {
                // Its part is a dead letter already.
                chain_out.filtered += 1;
            }
        }
        for batch in out.batches {
            let batch = if makes_parts { self.parts_of(&batch, chain_out)? } else { batch };
            self.push(i + 1, batch, chain_out)?;
        }
        Ok(())
    }

    /// The rows of the parts that are asked for. The others count as filtered.
    fn parts_of(&self, batch: &Batch, chain_out: &mut ChainOutput) -> Result<Batch> {
        let asked = |row| match Origin::of(batch, row).as_slice() {
            [one] => one.is_within(&self.parts),
            _ => true,
        };
        let keep: BooleanArray = (0..batch.rows()).map(|row| Some(asked(row))).collect();
        chain_out.filtered += keep.false_count() as u64;
        batch.filter(&keep)
    }

    /// The rows that are held back in all.
    pub(crate) fn held(&self) -> u64 {
        self.stages.iter().map(|stage| stage.held).sum()
    }

    /// Whether any of them may turn rows into dead letters.
    pub(crate) fn rejects(&self) -> bool {
        self.stages.iter().any(|stage| stage.config.may_reject(self.cx.changing_clock().is_some()))
    }

    /// The state of each that has one, by its name.
    pub(crate) fn save(&self) -> Result<BTreeMap<String, State>> {
        let mut states = BTreeMap::new();
        for stage in &self.stages {
            let state = stage.save()?;
            if !state.is_empty() || state.held() > 0 {
                states.insert(stage.id.clone(), state);
            }
        }
        Ok(states)
    }

    /// What changed of the state of each that has one since the last call; everything at the first one.
    pub(crate) fn save_changes(&mut self) -> Result<BTreeMap<String, StateChanges>> {
        let mut states = BTreeMap::new();
        for stage in &mut self.stages {
            if let Some(changes) = stage.save_changes()? {
                states.insert(stage.id.clone(), changes);
            }
        }
        Ok(states)
    }

    /// Goes on from what `save` returned. A stage without a saved state starts without one. The state of a stage that is not
    /// here any more, or has another type now, is dropped, unless it holds rows.
    pub(crate) fn restore(&mut self, states: &BTreeMap<String, State>) -> Result<()> {
        for (id, state) in states {
            if self.stages.iter().any(|stage| stage.id == *id && stage.kind == state.kind()) {
                continue;
            }
            if state.held() > 0 {
                return Err(Error::config(format!(
                    "the saved state has {} rows that the stage `{id}` of type `{}` holds, which this pipeline does not have",
                    state.held(),
                    state.kind()
                ))
                .help("put the stage back, or start from the beginning with `--fresh`"));
            }
            tracing::warn!(
                "the saved state of the stage `{id}` of type `{}` is dropped: this pipeline does not have the stage",
                state.kind()
            );
        }
        for stage in &mut self.stages {
            if let Some(state) = states.get(&stage.id).filter(|state| state.kind() == stage.kind) {
                stage.restore(state)?;
            }
        }
        Ok(())
    }

    /// The chain that replaces this one where the pipeline is another one from the next checkpoint on. A stage with the same
    /// options stays as it is; one with other options takes over the saved state, as after an edit between two runs.
    ///
    /// # Errors
    /// Where a stage cannot take the state over, or one is removed that holds rows. The error names it.
    pub(crate) fn reconfigured(
        &self,
        old: &Pipeline,
        new: &Pipeline,
        fitted: &[Option<Arc<[u8]>>],
    ) -> Result<Candidate> {
        let options = |pipeline: &Pipeline, id: &str| {
            let stage = pipeline.transforms.iter().find(|stage| stage.label == id);
            stage.map(|stage| (stage.kind, pipeline.options_of(stage)))
        };
        let mut slots = Vec::with_capacity(new.transforms.len());
        for (i, spec) in new.transforms.iter().enumerate() {
            let before = self.stages.iter().position(|stage| stage.id == spec.label);
            let (was, is) = (options(old, &spec.label), options(new, &spec.label));
            match before {
                Some(at) if was == is => slots.push(Slot::Kept(at)),
                Some(at) if was.as_ref().map(|(kind, _)| kind) == is.as_ref().map(|(kind, _)| kind) => {
                    slots.push(Slot::New(Box::new(
                        self.stages[at].replaced_by(&spec.config, fitted.get(i).cloned().flatten())?,
                    )));
                }
                Some(at) if self.stages[at].held > 0 => return Err(self.stages[at].holds_rows("gets another type")),
                _ => {
                    let cx = self.cx.for_stage(&spec.label).with_fitted(fitted.get(i).cloned().flatten());
                    slots.push(Slot::New(Box::new(ChainStage::build(&spec.label, spec.kind, &spec.config, cx)?)));
                }
            }
        }
        let is_there = |stage: &ChainStage| new.transforms.iter().any(|spec| spec.label == stage.id);
        match self.stages.iter().find(|stage| stage.held > 0 && !is_there(stage)) {
            Some(stage) => Err(stage.holds_rows("is removed")),
            None => Ok(Candidate(slots)),
        }
    }

    /// Takes the place of the stages that a candidate does not keep.
    pub(crate) fn swap(&mut self, candidate: Candidate) {
        let mut old: Vec<Option<ChainStage>> = std::mem::take(&mut self.stages).into_iter().map(Some).collect();
        self.stages = candidate
            .0
            .into_iter()
            .filter_map(|slot| match slot {
                Slot::Kept(at) => old[at].take(),
                Slot::New(stage) => Some(*stage),
            })
            .collect();
    }

    /// Notes the state of all, so that [`back_to_mark`](Self::back_to_mark) comes back to it.
    pub(crate) fn set_mark(&mut self) -> Result<()> {
        self.stages.iter_mut().try_for_each(ChainStage::set_mark)
    }

    /// Back to where the last mark was set. Rows that came since are forgotten.
    pub(crate) fn back_to_mark(&mut self) -> Result<()> {
        self.stages.iter_mut().try_for_each(ChainStage::back_to_mark)
    }
}
