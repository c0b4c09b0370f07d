//! The failures of a stage's clients since brokers last answered.

use std::time::Instant;

use super::outage::{OUTAGE_FORGOTTEN_AFTER, Outage};

/// How many brokers are remembered at once: a bound for addresses that always change.
const BROKERS_MAX: usize = 8;

/// The failures since the last answer.
#[derive(Default)]
pub(super) struct Failures {
    pub(super) outage: Option<Outage>,
    /// Brokers that were not reached, with the reason and the time of the last failure.
    brokers: Vec<(String, String, Instant)>,
    /// When an error of another kind was reported last.
    pub(super) reported: Option<Instant>,
    /// How many errors there were since that report.
    pub(super) unreported: u64,
    /// The last error and its time.
    pub(super) last: Option<(Instant, String)>,
    /// The beginnings of the errors that were reported: a new kind is reported at once, for it may be the cause.
    pub(super) kinds: Vec<String>,
    /// An error that waiting does not mend.
    pub(super) fatal: Option<String>,
}

impl Failures {
    /// That no broker answers at the addresses that were tried, with the reasons: `no broker answers at a:1 (connection refused)`.
    /// Where none was named yet, it is at those that are `configured`.
    pub(super) fn no_answer(&self, configured: &str) -> String {
        let named = |(broker, why): (String, String)| if why.is_empty() { broker } else { format!("{broker} ({why})") };
        let addresses: Vec<String> = self.tried(configured).into_iter().map(named).collect();
        format!("no broker answers at {}", addresses.join(", "))
    }

    /// The addresses that were tried since the outage began, with the reasons; those that are `configured` where none was named.
    pub(super) fn tried(&self, configured: &str) -> Vec<(String, String)> {
        let since = self.outage.as_ref().map(|outage| outage.since);
        let is_new = |failed: Instant| since.is_none_or(|since| failed + OUTAGE_FORGOTTEN_AFTER >= since);
        let recent = self.brokers.iter().filter(|(.., failed)| is_new(*failed));
        let named: Vec<(String, String)> = recent.map(|(broker, why, _)| (broker.clone(), why.clone())).collect();
        if !named.is_empty() {
            return named;
        }
        configured.split(',').map(|address| (address.trim().to_owned(), String::new())).collect()
    }

    pub(super) fn add_broker(&mut self, broker: String, why: String, now: Instant) {
        self.brokers.retain(|(other, ..)| *other != broker);
        if self.brokers.len() >= BROKERS_MAX {
            self.brokers.remove(0);
        }
        self.brokers.push((broker, why, now));
    }
}
