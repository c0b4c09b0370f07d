//! The median of the last so many observed values, for what is missing.

use std::collections::VecDeque;

use aqpipe_engine::Result;

use super::chain::{Pass, Saved, Seen, State};
use super::median::{Sample, run};
use super::rows::Rows;

/// Fills by the median of the last so many observed values.
pub(super) struct Window {
    most: usize,
    series: Vec<Vec<Recent>>,
}

#[derive(Default)]
struct Recent {
    values: VecDeque<f64>,
    /// The median, until another value comes: a gap asks for it again and again.
    median: Option<f64>,
}

impl Window {
    pub(super) fn new(most: usize) -> Window {
        Window { most, series: Vec::new() }
    }
}

impl Sample for Recent {
    fn median(&mut self) -> Option<f64> {
        if self.median.is_none() && !self.values.is_empty() {
            let mut values: Vec<f64> = self.values.iter().copied().collect();
            let middle = values.len() / 2;
            let even = values.len().is_multiple_of(2);
            let (below, high, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
            let low = if even { below.iter().copied().max_by(f64::total_cmp) } else { None };
            self.median = Some(low.unwrap_or(*high).midpoint(*high));
        }
        self.median
    }
}

impl Recent {
    fn take(&mut self, value: f64, most: usize) {
        while self.values.len() >= most {
            self.values.pop_front();
        }
        self.values.push_back(value);
        self.median = None;
    }
}

impl Pass for Window {
    fn apply(&mut self, mut rows: Rows, seen: &Seen<'_>, out: &mut Vec<Rows>) -> Result<()> {
        let most = self.most;
        run(&mut self.series, &mut rows, seen.keys.len(), |recent, value| {
            recent.take(value, most);
            Ok(())
        })?;
        out.push(rows);
        Ok(())
    }

    fn save(&self) -> Result<Saved> {
        let values = |recent: &Recent| recent.values.iter().copied().collect();
        let state = self.series.iter().map(|keys| keys.iter().map(values).collect()).collect();
        Ok(Saved { state: State::Window(state), held: Vec::new() })
    }

    fn restore(&mut self, state: State, _held: Vec<Rows>) -> Result<()> {
        let State::Window(state) = state else { return Err(State::foreign()) };
        let recent = |values: Vec<f64>| {
            let mut recent = Recent::default();
            values.into_iter().for_each(|value| recent.take(value, self.most));
            recent
        };
        self.series = state.into_iter().map(|keys| keys.into_iter().map(recent).collect()).collect();
        Ok(())
    }
}
