//! Logs what happens to the connections of a client, and counts it.
//!
//! That no broker answers is one line of a pipeline: at which address, why, and for how long it is tried. The line is
//! repeated while that lasts, after growing pauses. librdkafka's own lines go to the debug log.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aqpipe_engine::metrics::BrokerOutage;
use aqpipe_engine::monitor::{Metrics, TOO_MANY_FILES};
use aqpipe_engine::stage::BuildContext;
use aqpipe_engine::{Error, ErrorClass};
use parking_lot::Mutex;
use rdkafka::Statistics;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;

use super::broker_watch::BrokerWatch;
use super::client_log::{broker_in, is_about_bootstrap, note_partition_end};
use super::error_class::is_unreachable;
use super::failures::Failures;
use super::outage::{Outage, REPORT_INTERVAL_MIN};
use super::outage_teller::{OutageTeller, OutageTellers};
use super::statistics::{figures, has_answers, leaderless};

/// The kind of client that reads partitions.
pub(crate) const CONSUMER: &str = "consumer";
/// The same error within so short a time is the same report: a producer reports each error twice.
const DUPLICATE_REPORT_WINDOW: Duration = Duration::from_millis(20);
/// How much of an error says of which kind it is: what follows counts attempts and milliseconds.
const ERROR_KIND_CHARS: usize = 30;
/// How many kinds of errors are remembered at once: a bound for errors whose words always change.
const ERROR_KINDS_MAX: usize = 8;

/// Listens to the log lines and errors of a stage's clients.
pub(crate) struct ConnectionMonitor {
    pub(crate) pipeline: Arc<str>,
    pub(crate) stage: Arc<str>,
    pub(crate) metrics: Arc<Metrics>,
    /// The brokers that the stage is to connect to.
    brokers: String,
    teller: OutageTeller,
    tellers: Arc<OutageTellers>,
    failures: Mutex<Failures>,
    watch: Mutex<BrokerWatch>,
    has_failures: AtomicBool,
    /// Whether a broker has answered at all.
    has_answered: AtomicBool,
    /// How long the first answer may take, in seconds; 0 for ever.
    connect_timeout_secs: AtomicU64,
    failure_count: AtomicU64,
    /// Whether partitions had no leader at the last report.
    lacked_leaders: AtomicBool,
}

impl ConnectionMonitor {
    pub(crate) fn new(cx: &BuildContext, brokers: &str) -> ConnectionMonitor {
        let tellers = cx.pipeline_extensions().get_or_put(OutageTellers::default);
        ConnectionMonitor {
            pipeline: Arc::clone(cx.pipeline()),
            stage: Arc::clone(cx.stage()),
            metrics: Arc::clone(cx.metrics()),
            brokers: brokers.to_owned(),
            teller: OutageTeller::new(&tellers, brokers),
            tellers,
            failures: Mutex::default(),
            watch: Mutex::default(),
            has_failures: AtomicBool::new(false),
            has_answered: AtomicBool::new(false),
            connect_timeout_secs: AtomicU64::new(0),
            failure_count: AtomicU64::new(0),
            lacked_leaders: AtomicBool::new(false),
        }
    }

    /// Takes what a client reports of its connections.
    pub(crate) fn statistics(&self, kind: &str, report: &Statistics) {
        self.metrics.record_client(figures(format!("{} {kind}", self.stage), report));
        let changes = self.watch.lock().report(report.brokers.values(), Instant::now());
        changes.iter().for_each(|change| change.log(&self.pipeline));
        if kind == CONSUMER {
            let without_leader = leaderless(report);
            // A leader that is only being elected is there at the next report.
            let lasts = self.lacked_leaders.swap(without_leader.is_some(), Ordering::Relaxed);
            self.metrics.waiting(&format!("{} partitions", self.stage), without_leader.filter(|_| lasts));
        }
        // Where nothing is read or written, nothing else tells that brokers answer again.
        if has_answers(report) && self.failures.lock().outage.is_some() {
            self.recovered();
        }
        self.publish_away();
    }

    /// Has it said, wherever one looks, which brokers do not answer: those that are told when none does, else each that is needed.
    fn publish_away(&self) {
        let mut away = self.watch.lock().away(Instant::now());
        let failures = self.failures.lock();
        if let Some(outage) = failures.outage.as_ref().filter(|outage| outage.is_reported()) {
            for (broker, why) in failures.tried(&self.brokers) {
                match away.iter_mut().find(|other| other.broker == broker) {
                    Some(known) => known.is_asked = true,
                    None => away.push(BrokerOutage { broker, since: outage.since, reason: why, is_asked: true }),
                }
            }
        }
        self.metrics.brokers_away(&self.stage, away);
    }

    /// Limits the wait for the first answer; the shortest of several limits counts.
    pub(crate) fn limit_connect_time(&self, timeout: Option<Duration>) {
        let Some(secs) = timeout.map(|timeout| timeout.as_secs()) else { return };
        let shorter = |now: u64| (now == 0 || secs < now).then_some(secs);
        // Nothing else changes it while stages are built.
        let _ = self.connect_timeout_secs.fetch_update(Ordering::Relaxed, Ordering::Relaxed, shorter);
    }

    /// A failure that may pass, other than an unreachable broker: each kind is reported the first time, then any every
    /// ten seconds.
    pub(crate) fn failure(&self, what: &str) {
        let mut failures = self.failures.lock();
        if !self.is_new(&mut failures, what) {
            return;
        }
        self.metrics.record_passing_error(&self.stage, ErrorClass::Broker);
        if failures.outage.as_ref().is_some_and(Outage::is_reported) {
            // What brokers say while they come back is told by the line that they do.
            let (pipeline, stage) = (&*self.pipeline, &*self.stage);
            tracing::debug!(pipeline, stage, "while no broker answers: {what}");
            return;
        }
        failures.unreported += 1;
        let kind: String = what.chars().take(ERROR_KIND_CHARS).collect();
        let is_new_kind = failures.kinds.len() < ERROR_KINDS_MAX && !failures.kinds.contains(&kind);
        if is_new_kind {
            failures.kinds.push(kind);
        }
        if is_new_kind || failures.reported.is_none_or(|reported| reported.elapsed() >= REPORT_INTERVAL_MIN) {
            let (pipeline, stage, errors) = (&*self.pipeline, &*self.stage, failures.unreported);
            let more = if errors > 1 { format!(", {errors} times since the last line") } else { String::new() };
            tracing::warn!(pipeline, stage, "trouble with Kafka{more}, and it is tried again: {what}");
            failures.reported = Some(Instant::now());
            failures.unreported = 0;
        }
    }

    /// The error of a call that is made again.
    pub(crate) fn failed(&self, error: &KafkaError) {
        match error.rdkafka_error_code() {
            Some(code) if is_unreachable(code) => self.unreachable(&error.to_string()),
            _ => {
                self.metrics.retries.fetch_add(1, Ordering::Relaxed);
                self.failure(&error.to_string());
            }
        }
    }

    /// A call is made again for an error of that kind, which the client has reported itself.
    pub(crate) fn retried(&self, code: Code) {
        if !is_unreachable(code) {
            self.metrics.retries.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether the failure was not reported just before.
    fn is_new(&self, failures: &mut Failures, what: &str) -> bool {
        let now = Instant::now();
        if failures.last.as_ref().is_some_and(|(at, last)| now - *at < DUPLICATE_REPORT_WINDOW && last == what) {
            return false;
        }
        failures.last = Some((now, what.to_owned()));
        self.failure_count.fetch_add(1, Ordering::Relaxed);
        self.has_failures.store(true, Ordering::Release);
        true
    }

    /// A broker was not reached, or did not answer.
    fn unreachable(&self, what: &str) {
        let mut failures = self.failures.lock();
        if !self.is_new(&mut failures, what) {
            return;
        }
        self.metrics.unreached.fetch_add(1, Ordering::Relaxed);
        let now = Instant::now();
        if self.broker_failed(&mut failures, what, now) && failures.outage.is_none() {
            return;
        }
        let outage = failures.outage.get_or_insert_with(|| Outage::new(now));
        let (is_due, waited) = (outage.is_report_due(now), outage.since.elapsed().as_secs());
        if self.teller.tells(is_due, now) {
            let limit = self
                .connect_timeout()
                .map_or_else(String::new, |timeout| format!(" of {} s (`connect_timeout_secs`)", timeout.as_secs()));
            let (pipeline, no_answer) = (&*self.pipeline, failures.no_answer(&self.brokers));
            tracing::warn!(pipeline, "{no_answer}; still trying, {waited} s{limit}");
        }
        drop(failures);
        self.publish_away();
    }

    /// Takes note of the broker that a line is about, where it names one. Returns whether it is one of several, and others answer.
    fn broker_failed(&self, failures: &mut Failures, line: &str, now: Instant) -> bool {
        let Some((broker, why)) = broker_in(line) else { return false };
        // Where a broker of the cluster answers, an address to start from may be anything.
        let mut watch = self.watch.lock();
        let is_bootstrap = is_about_bootstrap(line);
        let others_answer = match is_bootstrap {
            true => watch.others_answer(now),
            false => watch.failed(&broker, &why, &self.tellers, now),
        };
        failures.add_broker(broker, why, is_bootstrap, now);
        others_answer
    }

    /// The limit of the wait for the first answer, while there was none.
    fn connect_timeout(&self) -> Option<Duration> {
        let secs = self.connect_timeout_secs.load(Ordering::Relaxed);
        (secs > 0 && !self.has_answered.load(Ordering::Relaxed)).then(|| Duration::from_secs(secs))
    }

    /// A broker answered. Cheap where nothing had failed.
    pub(crate) fn recovered(&self) {
        if !self.has_answered.load(Ordering::Relaxed) {
            self.has_answered.store(true, Ordering::Relaxed);
        }
        if self.has_failures.load(Ordering::Relaxed) && self.has_failures.swap(false, Ordering::AcqRel) {
            let past = std::mem::take(&mut *self.failures.lock());
            self.publish_away();
            let (pipeline, stage) = (&*self.pipeline, &*self.stage);
            let told = self.teller.is_over();
            if let Some(outage) = past.outage.filter(Outage::is_reported) {
                let waited = outage.since.elapsed().as_secs();
                if told {
                    tracing::info!(pipeline, "the brokers answer again, after {waited} s");
                }
            } else if past.reported.is_some() {
                tracing::info!(pipeline, stage, "the trouble with Kafka has passed");
            }
        }
    }

    /// The last failure, for a message.
    pub(crate) fn last_failure(&self) -> Option<String> {
        let failures = self.failures.lock();
        match &failures.outage {
            Some(_) => Some(failures.no_answer(&self.brokers)),
            None => failures.last.as_ref().map(|(_, last)| last.clone()),
        }
    }

    /// Whether it was told that no broker answers, by whichever client of the pipeline, and none has answered since.
    pub(crate) fn is_in_outage(&self) -> bool {
        self.failures.lock().outage.as_ref().is_some_and(Outage::is_reported)
    }

    /// The error that waiting does not mend, or that this start has waited for an answer as long as it may.
    pub(crate) fn fatal(&self) -> Option<Error> {
        let failures = self.failures.lock();
        if let Some(what) = &failures.fatal {
            let error = Error::new("Kafka refuses this client").because(what.clone());
            return Some(error.help("look at `brokers` and `security`"));
        }
        let (timeout, outage) = (self.connect_timeout()?, failures.outage.as_ref()?);
        (outage.since.elapsed() >= timeout).then(|| {
            let message = format!("{} within {} s", failures.no_answer(&self.brokers), timeout.as_secs());
            Error::new(message).help(
                "is a broker running there (`aqpipe kafka up` starts one), and is that its address? \
                 `connect_timeout_secs` is how long a start waits",
            )
        })
    }

    /// Logs a line of librdkafka. A lost connection is reported as an error too; the line names the broker, which the
    /// error that follows may not.
    pub(crate) fn log_line(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let (pipeline, stage) = (&*self.pipeline, &*self.stage);
        tracing::debug!(target: "librdkafka", pipeline, stage, "{level:?} {facility}: {message}");
        if message.contains(TOO_MANY_FILES) {
            self.metrics.files_refused.fetch_add(1, Ordering::Relaxed);
        }
        if matches!(facility, "FAIL" | "ERROR") {
            self.broker_failed(&mut self.failures.lock(), message, Instant::now());
        }
    }

    /// How many failures there were so far.
    pub(crate) fn failure_count(&self) -> u64 {
        self.failure_count.load(Ordering::Relaxed)
    }

    /// Takes an error that a client reports by itself.
    pub(crate) fn client_error(&self, error: &KafkaError, reason: &str) {
        match error.rdkafka_error_code() {
            Some(Code::PartitionEOF) => note_partition_end(reason),
            Some(Code::Authentication | Code::SaslAuthenticationFailed | Code::Fatal) => {
                self.failure(reason);
                self.failures.lock().fatal.get_or_insert_with(|| reason.to_owned());
            }
            Some(code) if is_unreachable(code) => {
                if code == Code::AllBrokersDown {
                    self.watch.lock().all_failed();
                }
                self.unreachable(reason);
            }
            _ => self.failure(reason),
        }
    }

    /// Takes an error that a transactional producer reports by itself: one that is fatal to that producer is mended by
    /// another one.
    pub(crate) fn transactional_client_error(&self, error: &KafkaError, reason: &str) {
        match error.rdkafka_error_code() {
            Some(Code::Fatal) => self.failure(reason),
            _ => self.client_error(error, reason),
        }
    }
}

impl fmt::Debug for ConnectionMonitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectionMonitor({}, {})", self.pipeline, self.stage)
    }
}

#[cfg(test)]
mod tests;
