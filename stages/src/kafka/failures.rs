//! The failures of a stage's clients since brokers last answered.

use std::time::Instant;

use super::outage::{OUTAGE_FORGOTTEN_AFTER, Outage};

/// How many brokers are remembered at once: a bound for addresses that always change.
const BROKERS_MAX: usize = 8;

/// An address that was not reached.
struct Address {
    address: String,
    why: String,
    failed: Instant,
    /// Whether only the configuration names it: it may be no broker's.
    is_bootstrap: bool,
}

/// The failures since the last answer.
#[derive(Default)]
pub(super) struct Failures {
    pub(super) outage: Option<Outage>,
    /// The addresses that were not reached.
    addresses: Vec<Address>,
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

    /// The addresses that were tried since the outage began, with the reasons: those of the brokers of the cluster where they are known;
    /// those that are `configured` where none was named.
    pub(super) fn tried(&self, configured: &str) -> Vec<(String, String)> {
        let since = self.outage.as_ref().map(|outage| outage.since);
        let is_new = |failed: Instant| since.is_none_or(|since| failed + OUTAGE_FORGOTTEN_AFTER >= since);
        let recent = || self.addresses.iter().filter(|it| is_new(it.failed));
        let knows_cluster = recent().any(|it| !it.is_bootstrap);
        let named: Vec<(String, String)> = recent()
            .filter(|it| !(knows_cluster && it.is_bootstrap))
            .map(|it| (it.address.clone(), it.why.clone()))
            .collect();
        if !named.is_empty() {
            return named;
        }
        configured.split(',').map(|address| (address.trim().to_owned(), String::new())).collect()
    }

    pub(super) fn add_broker(&mut self, address: String, why: String, is_bootstrap: bool, failed: Instant) {
        self.addresses.retain(|other| other.address != address);
        if self.addresses.len() >= BROKERS_MAX {
            self.addresses.remove(0);
        }
        self.addresses.push(Address { address, why, failed, is_bootstrap });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_brokers_of_the_cluster_are_known_an_address_to_start_from_is_not_named() {
        let (mut failures, now) = (Failures::default(), Instant::now());
        assert_eq!(failures.no_answer("a:1, dead:1"), "no broker answers at a:1, dead:1");
        failures.add_broker("dead:1".to_owned(), "connection refused".to_owned(), true, now);
        assert_eq!(failures.no_answer("a:1,dead:1"), "no broker answers at dead:1 (connection refused)");
        failures.add_broker("a:1".to_owned(), "timed out".to_owned(), false, now);
        assert_eq!(failures.no_answer("a:1,dead:1"), "no broker answers at a:1 (timed out)");
    }
}
