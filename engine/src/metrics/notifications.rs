//! What became of the notifications of `[[monitor.notify]]`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Hooks that are told apart: the settings allow no more than 20.
const HOOKS_MAX: usize = 20;

/// What became of a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotificationOutcome {
    /// The hook took it.
    Delivered,
    /// The hook failed, after all attempts.
    Failed,
    /// It found no room among those that wait, or the run was over before the hook took it.
    Dropped,
}

/// The notifications of one hook.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NotificationCounts {
    /// The name of the hook, or its place among them, from 1.
    pub hook: String,
    /// Those that it took.
    pub delivered: u64,
    /// Those that it did not take, after all attempts.
    pub failed: u64,
    /// Those that found no room among those that wait, or that the end of the run came before.
    pub dropped: u64,
}

/// The notifications of all hooks.
#[derive(Debug, Default)]
pub(super) struct Notifications(BTreeMap<String, NotificationCounts>);

impl Notifications {
    pub(super) fn add(&mut self, hook: &str, outcome: NotificationOutcome, count: u64) {
        if self.0.len() >= HOOKS_MAX && !self.0.contains_key(hook) {
            return;
        }
        let counts = self.0.entry(hook.to_owned()).or_default();
        counts.hook = hook.to_owned();
        match outcome {
            NotificationOutcome::Delivered => counts.delivered += count,
            NotificationOutcome::Failed => counts.failed += count,
            NotificationOutcome::Dropped => counts.dropped += count,
        }
    }

    pub(super) fn list(&self) -> Vec<NotificationCounts> {
        self.0.values().cloned().collect()
    }
}
