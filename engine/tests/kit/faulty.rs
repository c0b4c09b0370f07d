//! A transform that holds the last rows back, and breaks one rule where it is told to.

use std::time::{Duration, Instant};

use aqpipe_engine::clock::Clock;
use aqpipe_engine::inventory;
use aqpipe_engine::record::{Batch, Fields};
use aqpipe_engine::stage::{BuildContext, Descriptor, Output, Problem, State, Transform, TransformConfig};
use aqpipe_engine::{Error, Result};
use schemars::JsonSchema;
use serde::Deserialize;

/// Holds the last rows back, for a minute at most.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct HoldConfig {
    /// How many.
    rows: usize,
    /// The rule to break.
    fault: Option<String>,
}

inventory::submit! { Descriptor::transform::<HoldConfig>("hold", "rows = 2") }

impl TransformConfig for HoldConfig {
    fn check(&self, input: &Fields) -> Result<Fields, Vec<Problem>> {
        Ok(input.clone())
    }

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Transform>> {
        let fault = self.fault.clone().unwrap_or_default();
        Ok(Box::new(Hold { rows: self.rows, fault, held: None, since: None, clock: cx.clock().clone(), calls: 0 }))
    }
}

struct Hold {
    rows: usize,
    fault: String,
    held: Option<Batch>,
    since: Option<Instant>,
    clock: Clock,
    calls: u64,
}

impl Hold {
    fn has(&self, fault: &str) -> bool {
        self.fault == fault
    }

    fn emit(&mut self, batch: Batch, out: &mut Output) -> Result<()> {
        match batch.rows() {
            0 => {}
            rows if rows > 1 && self.has("order") => {
                out.batches.extend([batch.slice(rows - 1, 1), batch.slice(0, rows - 1)]);
            }
            _ if self.has("offset") => {
                let mut parts = batch.into_parts();
                parts.source_offsets =
                    parts.source_offsets.iter().map(|offset| offset + 1_000).collect::<Vec<_>>().into();
                out.batches.push(Batch::new(parts)?);
            }
            _ => out.batches.push(batch),
        }
        Ok(())
    }
}

impl Transform for Hold {
    fn apply(&mut self, batch: Batch, out: &mut Output) -> Result<()> {
        self.calls += 1;
        assert!(!self.has("panic"), "as it was told");
        let mut batch = batch;
        // The values depend on how rows are cut into batches, or on a state that is not saved.
        let changes = self.has("batch") || self.has("state") && self.calls > 3;
        if changes {
            let (calls, rows) = (self.calls as f64, batch.rows() as f64);
            batch.change_numbers(0, |numbers| {
                let (mut values, nulls, quality) = numbers.into_vecs();
                values.iter_mut().for_each(|value| *value += calls * 10.0 + rows);
                Ok(aqpipe_engine::record::Numbers::from_vecs(values, nulls, quality))
            })?;
        }
        let all: Vec<Batch> = self.held.take().into_iter().chain([batch]).collect();
        let all = Batch::concat(&all)?;
        let left = all.rows().saturating_sub(self.rows);
        self.held = Some(all.slice(left, all.rows() - left));
        self.since = Some(self.clock.now());
        if self.has("twice") && left > 0 {
            out.batches.push(all.slice(0, 1));
        }
        let from = usize::from(self.has("lose") && left > 0);
        self.emit(all.slice(from, left - from), out)
    }

    fn finish(&mut self, out: &mut Output) -> Result<()> {
        match self.held.take() {
            Some(held) if self.has("finish") => {
                self.held = Some(held);
                Ok(())
            }
            Some(held) => self.emit(held, out),
            None => Ok(()),
        }
    }

    fn tick(&mut self, now: Instant, out: &mut Output) -> Result<()> {
        let is_due = self.since.is_some_and(|since| now.saturating_duration_since(since) >= Duration::from_secs(60));
        if is_due { self.finish(out) } else { Ok(()) }
    }

    fn held(&self) -> u64 {
        if self.has("held") { 0 } else { self.held.as_ref().map_or(0, |held| held.rows() as u64) }
    }

    fn save(&self) -> Result<State> {
        match &self.held {
            Some(held) if !self.has("save") => Ok(State::of_bytes(1, held.to_ipc()?)),
            _ => Ok(State::default()),
        }
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        if self.has("restore") {
            return Ok(());
        }
        if self.has("version") {
            let bytes = state.read_bytes(1).or_else(|_| state.read_bytes(2)).map_err(|_| Error::new("neither"))?;
            self.held = Some(Batch::from_ipc(bytes)?);
            return Ok(());
        }
        self.held = Some(Batch::from_ipc(state.read_bytes(1)?)?);
        self.since = Some(self.clock.now());
        Ok(())
    }
}
