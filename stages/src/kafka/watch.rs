//! Where the log lines of clients go, and how trouble with brokers is told.
//!
//! A broker that does not answer is one line: which one, since when and why, and that it is tried again. The line comes
//! again while that goes on, each time after a longer pause. What the library itself says is for whoever looks for it.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aqpipe_engine::Error;
use aqpipe_engine::monitor::{Metrics, TOO_MANY_FILES};
use aqpipe_engine::stage::BuildContext;
use parking_lot::Mutex;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;

use super::client::{Connection, is_out_of_reach};

/// How long a broker may be out of reach before that is worth a line: brokers close connections that were idle, and
/// clients open them again.
const WORTH_A_LINE: Duration = Duration::from_secs(1);
/// The pause before the second line, and the longest: each is twice as long as the one before.
const SAY_AGAIN: Duration = Duration::from_secs(10);
const SAY_AGAIN_MOST: Duration = Duration::from_secs(600);
/// What was not heard of for so long is over, though nothing said so. The library tries to connect every ten seconds,
/// and gives a try thirty.
const OVER: Duration = Duration::from_secs(60);
/// The same error within so short a time is the same report.
const TWICE: Duration = Duration::from_millis(20);
/// How much of an error says what kind it is: what follows counts attempts and milliseconds.
const KIND: usize = 30;
/// How many kinds of errors, or brokers, are told at once: a bound for what changes with every word.
const KINDS: usize = 8;

thread_local! {
    static END: Cell<Option<u64>> = const { Cell::new(None) };
}

/// The offset at which the end of a partition was reached, said by the poll of this thread that has just returned
/// `PartitionEOF`: the library tells it in words only.
pub(crate) fn take_partition_end() -> Option<u64> {
    END.take()
}

/// Listens to a client: its log lines and its errors.
pub(crate) struct Watch {
    pub(crate) pipeline: Arc<str>,
    pub(crate) stage: Arc<str>,
    pub(crate) metrics: Arc<Metrics>,
    trouble: Mutex<Trouble>,
    in_trouble: AtomicBool,
    /// Whether a broker has answered at all.
    has_answered: AtomicBool,
    /// How long the first answer may take, in seconds; 0 for ever.
    connect_timeout: AtomicU64,
    troubles: AtomicU64,
}

#[derive(Default)]
struct Trouble {
    silence: Option<Silence>,
    /// Brokers that were not reached, with the reason and when that was heard.
    brokers: Vec<(String, String, Instant)>,
    /// When an error of another kind was told last.
    told: Option<Instant>,
    /// How many errors there were since.
    since: u64,
    /// The last error and its time: for messages, and because a producer reports each error twice.
    last: Option<(Instant, String)>,
    /// The beginnings of those that were told: another kind is told at once, for it may be the cause.
    kinds: Vec<String>,
    /// An error that waiting does not mend.
    fatal: Option<String>,
}

/// A stretch of time in which no broker answered.
struct Silence {
    since: Instant,
    heard: Instant,
    told: Option<Instant>,
    pause: Duration,
}

impl Silence {
    fn new(now: Instant) -> Silence {
        Silence { since: now, heard: now, told: None, pause: SAY_AGAIN }
    }

    /// Hears of it once more. Returns whether it is to be told now.
    fn goes_on(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.heard) > OVER {
            *self = Silence::new(now);
        }
        self.heard = now;
        match self.told {
            None => {
                let is_due = now.saturating_duration_since(self.since) >= WORTH_A_LINE;
                self.told = is_due.then_some(now);
                is_due
            }
            Some(told) if now.saturating_duration_since(told) >= self.pause => {
                self.told = Some(now);
                self.pause = (self.pause * 2).min(SAY_AGAIN_MOST);
                true
            }
            Some(_) => false,
        }
    }
}

impl Trouble {
    /// Which brokers do not answer, and why: `broker a:1 (connection refused)`.
    fn who(&self) -> String {
        let since = self.silence.as_ref().map(|silence| silence.since);
        let is_new = |heard: Instant| since.is_none_or(|since| heard + OVER >= since);
        let named: Vec<String> = self
            .brokers
            .iter()
            .filter(|(_, _, heard)| is_new(*heard))
            .map(|(broker, why, _)| if why.is_empty() { broker.clone() } else { format!("{broker} ({why})") })
            .collect();
        match &named[..] {
            [] => "any broker".to_owned(),
            [one] => format!("broker {one}"),
            more => format!("brokers {}", more.join(", ")),
        }
    }

    fn name(&mut self, broker: String, why: String, now: Instant) {
        self.brokers.retain(|(other, ..)| *other != broker);
        if self.brokers.len() >= KINDS {
            self.brokers.remove(0);
        }
        self.brokers.push((broker, why, now));
    }
}

impl Watch {
    pub(crate) fn new(cx: &BuildContext) -> Watch {
        Watch {
            pipeline: Arc::clone(&cx.pipeline()),
            stage: Arc::clone(&cx.stage()),
            metrics: Arc::clone(&cx.metrics()),
            trouble: Mutex::default(),
            in_trouble: AtomicBool::new(false),
            has_answered: AtomicBool::new(false),
            connect_timeout: AtomicU64::new(0),
            troubles: AtomicU64::new(0),
        }
    }

    /// One that does not wait longer for the first answer than the connection says.
    pub(crate) fn of(cx: &BuildContext, connection: &Connection) -> Watch {
        let watch = Watch::new(cx);
        watch.within(connection);
        watch
    }

    /// Waits no longer for the first answer than the connection says; the shortest of several counts.
    pub(crate) fn within(&self, connection: &Connection) {
        let Some(most) = connection.connect_timeout else { return };
        let shorter = |now: u64| (now == 0 || most.as_secs() < now).then_some(most.as_secs());
        // Nothing else changes it while stages are built.
        let _ = self.connect_timeout.fetch_update(Ordering::Relaxed, Ordering::Relaxed, shorter);
    }

    /// Trouble that may pass, other than brokers that do not answer: each kind is told the first time, then any every ten
    /// seconds.
    pub(crate) fn trouble(&self, what: &str) {
        let mut trouble = self.trouble.lock();
        if !self.is_news(&mut trouble, what) {
            return;
        }
        self.metrics.errors.fetch_add(1, Ordering::Relaxed);
        trouble.since += 1;
        let kind: String = what.chars().take(KIND).collect();
        let is_new = trouble.kinds.len() < KINDS && !trouble.kinds.contains(&kind);
        if is_new {
            trouble.kinds.push(kind);
        }
        if is_new || trouble.told.is_none_or(|told| told.elapsed() >= SAY_AGAIN) {
            let (pipeline, stage, errors) = (&*self.pipeline, &*self.stage, trouble.since);
            let more = if errors > 1 { format!(", {errors} times since the last line") } else { String::new() };
            tracing::warn!(pipeline, stage, "trouble with Kafka{more}, and it is tried again: {what}");
            trouble.told = Some(Instant::now());
            trouble.since = 0;
        }
    }

    /// The error of a call that is made again.
    pub(crate) fn trouble_of(&self, error: &KafkaError) {
        match error.rdkafka_error_code() {
            Some(code) if is_out_of_reach(code) => self.no_answer(&error.to_string()),
            _ => {
                self.metrics.retries.fetch_add(1, Ordering::Relaxed);
                self.trouble(&error.to_string());
            }
        }
    }

    /// Something is done again for an error of that kind, which was told when it was reported.
    pub(crate) fn retried(&self, code: Code) {
        if !is_out_of_reach(code) {
            self.metrics.retries.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether that was not reported just before.
    fn is_news(&self, trouble: &mut Trouble, what: &str) -> bool {
        let now = Instant::now();
        if trouble.last.as_ref().is_some_and(|(at, last)| now - *at < TWICE && last == what) {
            return false;
        }
        trouble.last = Some((now, what.to_owned()));
        self.troubles.fetch_add(1, Ordering::Relaxed);
        self.in_trouble.store(true, Ordering::Release);
        true
    }

    /// A broker was not reached, or did not answer.
    fn no_answer(&self, what: &str) {
        let mut trouble = self.trouble.lock();
        if !self.is_news(&mut trouble, what) {
            return;
        }
        self.metrics.unreached.fetch_add(1, Ordering::Relaxed);
        let now = Instant::now();
        if let Some((broker, why)) = broker_in(what) {
            trouble.name(broker, why, now);
        }
        let silence = trouble.silence.get_or_insert_with(|| Silence::new(now));
        let is_first = silence.told.is_none();
        if silence.goes_on(now) {
            let still = if is_first { "" } else { "still " };
            let waited = silence.since.elapsed().as_secs();
            let until = match self.limit() {
                Some(most) => format!("for {} s in all (`connect_timeout_secs`)", most.as_secs()),
                None => "until it does".to_owned(),
            };
            let (pipeline, stage, who) = (&*self.pipeline, &*self.stage, trouble.who());
            tracing::warn!(pipeline, stage, "{still}no answer from {who} for {waited} s: it is tried again {until}");
        }
    }

    /// How long this start still waits for its first answer.
    fn limit(&self) -> Option<Duration> {
        let most = self.connect_timeout.load(Ordering::Relaxed);
        (most > 0 && !self.has_answered.load(Ordering::Relaxed)).then(|| Duration::from_secs(most))
    }

    /// The broker answered. Cheap where there was no trouble.
    pub(crate) fn fine(&self) {
        if !self.has_answered.load(Ordering::Relaxed) {
            self.has_answered.store(true, Ordering::Relaxed);
        }
        if self.in_trouble.load(Ordering::Relaxed) && self.in_trouble.swap(false, Ordering::AcqRel) {
            let was = std::mem::take(&mut *self.trouble.lock());
            let (pipeline, stage) = (&*self.pipeline, &*self.stage);
            if let Some(silence) = was.silence.filter(|silence| silence.told.is_some()) {
                let waited = silence.since.elapsed().as_secs();
                tracing::info!(pipeline, stage, "the brokers answer again, after {waited} s");
            } else if was.told.is_some() {
                tracing::info!(pipeline, stage, "the trouble with Kafka has passed");
            }
        }
    }

    /// The last trouble, for a message.
    pub(crate) fn last_trouble(&self) -> Option<String> {
        let trouble = self.trouble.lock();
        match &trouble.silence {
            Some(_) => Some(format!("no answer from {}", trouble.who())),
            None => trouble.last.as_ref().map(|(_, last)| last.clone()),
        }
    }

    /// The error that waiting does not mend, where there was one; or that this start has waited long enough.
    pub(crate) fn fatal(&self) -> Option<Error> {
        let trouble = self.trouble.lock();
        if let Some(what) = &trouble.fatal {
            let error = Error::new("Kafka refuses this client").because(what.clone());
            return Some(error.help("look at `brokers` and `security`"));
        }
        let (most, silence) = (self.limit()?, trouble.silence.as_ref()?);
        (silence.since.elapsed() >= most).then(|| {
            let message = format!("no answer from {} within {} s", trouble.who(), most.as_secs());
            Error::new(message).help(
                "is a broker running there (`aqpipe kafka up` starts one), and is that its address? \
                 `connect_timeout_secs` is how long a start waits",
            )
        })
    }

    /// Logs a line of librdkafka's. What it says of lost connections comes as an error as well; the line names the broker,
    /// which the error that follows may not.
    pub(crate) fn line(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let (pipeline, stage) = (&*self.pipeline, &*self.stage);
        tracing::debug!(target: "librdkafka", pipeline, stage, "{level:?} {facility}: {message}");
        if message.contains(TOO_MANY_FILES) {
            self.metrics.files_refused.fetch_add(1, Ordering::Relaxed);
        }
        if matches!(facility, "FAIL" | "ERROR")
            && let Some((broker, why)) = broker_in(message)
        {
            self.trouble.lock().name(broker, why, Instant::now());
        }
    }

    /// Takes an error that a transactional producer reports on its own: one that makes it useless is mended by another
    /// producer.
    pub(crate) fn heard_of_transactions(&self, error: &KafkaError, reason: &str) {
        match error.rdkafka_error_code() {
            Some(Code::Fatal) => self.trouble(reason),
            _ => self.heard(error, reason),
        }
    }

    /// How much trouble there was so far.
    pub(crate) fn troubles(&self) -> u64 {
        self.troubles.load(Ordering::Relaxed)
    }

    /// Takes an error that a client reports on its own.
    pub(crate) fn heard(&self, error: &KafkaError, reason: &str) {
        match error.rdkafka_error_code() {
            Some(Code::PartitionEOF) => END.set(offset_in(reason)),
            Some(Code::Authentication | Code::SaslAuthenticationFailed | Code::Fatal) => {
                self.trouble(reason);
                self.trouble.lock().fatal.get_or_insert_with(|| reason.to_owned());
            }
            Some(code) if is_out_of_reach(code) => self.no_answer(reason),
            _ => self.trouble(reason),
        }
    }
}

/// The broker that a line of the library is about, and what is wrong with it:
/// `[thrd:a:9092/bootstrap]: a:9092/bootstrap: Connect to ipv4#10.0.0.1:9092 failed: Connection refused (after 2ms in …)`.
fn broker_in(line: &str) -> Option<(String, String)> {
    let line = line.split_once("]: ").map_or(line, |(thread, rest)| if thread.starts_with('[') { rest } else { line });
    let mut rest = line;
    while let Some((piece, behind)) = rest.split_once(": ") {
        let address = piece.rsplit_once("://").map_or(piece, |(_, address)| address);
        let address = address.split_once('/').map_or(address, |(address, _)| address);
        let parts = address.rsplit_once(':');
        if parts.is_some_and(|(host, port)| {
            !host.is_empty() && !host.contains([' ', '#', '\'']) && port.parse::<u16>().is_ok()
        }) {
            return Some((address.to_owned(), reason_in(behind)));
        }
        rest = behind;
    }
    None
}

/// The last clause of what the library says, without its times: `connection refused`.
fn reason_in(text: &str) -> String {
    let text = text.split_once(" (after ").map_or(text, |(text, _)| text);
    let text = text.split_once(": ").map_or(text, |(_, why)| why).trim_end_matches('.');
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

/// The number behind "at offset".
fn offset_in(reason: &str) -> Option<u64> {
    let (_, rest) = reason.split_once("at offset ")?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watch({}, {})", self.pipeline, self.stage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: &str = "127.0.0.1:9/bootstrap: Connect to ipv4#127.0.0.1:9 failed: Connection refused (after 0ms in \
                           state CONNECT)";

    fn out_of_reach() -> KafkaError {
        KafkaError::Global(Code::BrokerTransportFailure)
    }

    #[test]
    fn the_end_of_a_partition_is_read_from_the_words_of_the_library() {
        let reason = "Fetch from broker 1 reached end of partition at offset 1042 (HighwaterMark 1050)";
        assert_eq!(offset_in(reason), Some(1042));
        assert_eq!(offset_in("at offset END"), None);
        assert_eq!(offset_in("something else"), None);
    }

    #[test]
    fn the_broker_and_the_reason_are_read_from_the_words_of_the_library() {
        let pair = |broker: &str, why: &str| Some((broker.to_owned(), why.to_owned()));
        assert_eq!(broker_in(REFUSED), pair("127.0.0.1:9", "connection refused"));
        assert_eq!(
            broker_in(&format!("[thrd:127.0.0.1:9/bootstrap]: {REFUSED}")),
            pair("127.0.0.1:9", "connection refused")
        );
        let unknown = "none:9092/bootstrap: Failed to resolve 'none:9092': Name or service not known (after 3ms in state \
                       CONNECT)";
        assert_eq!(broker_in(unknown), pair("none:9092", "name or service not known"));
        let other = "GroupCoordinator: b.example:9093: Disconnected (after 12ms in state UP)";
        assert_eq!(broker_in(other), pair("b.example:9093", "disconnected"));
        let ssl =
            "sasl_ssl://[::1]:9093/2: SSL handshake failed: certificate expired (after 5ms in state SSL_HANDSHAKE)";
        assert_eq!(broker_in(ssl), pair("[::1]:9093", "certificate expired"));
        assert_eq!(broker_in("1/1 brokers are down"), None);
    }

    #[test]
    fn a_broker_that_does_not_answer_is_told_at_growing_intervals_and_what_was_long_ago_is_over() {
        let start = Instant::now();
        let mut silence = Silence::new(start);
        let told: Vec<u64> = (0..2_000).filter(|s| silence.goes_on(start + Duration::from_secs(*s))).collect();
        assert_eq!(told, [1, 11, 31, 71, 151, 311, 631, 1_231, 1_831]);
        assert!(!silence.goes_on(start + Duration::from_secs(4_000)), "a connection that was idle and closed");
    }

    #[test]
    fn a_broker_out_of_reach_is_no_error_of_a_record_and_other_trouble_is() {
        let cx = BuildContext::for_tests();
        let watch = Watch::new(&cx);
        watch.heard(&out_of_reach(), REFUSED);
        watch.trouble_of(&out_of_reach());
        let metrics = || cx.metrics().snapshot();
        assert_eq!((metrics().errors, metrics().retries, metrics().unreached), (0, 0, 2));
        assert_eq!(watch.last_trouble().as_deref(), Some("no answer from broker 127.0.0.1:9 (connection refused)"));
        watch.fine();
        assert_eq!(watch.last_trouble(), None);
        watch.trouble_of(&KafkaError::Global(Code::NotCoordinator));
        watch.trouble("two");
        watch.trouble("two");
        assert_eq!((metrics().errors, metrics().retries, metrics().unreached), (2, 1, 2));
        assert_eq!((watch.last_trouble().as_deref(), watch.troubles()), (Some("two"), 4));
    }

    #[test]
    fn a_start_ends_where_no_broker_has_answered_in_the_time_that_it_was_given() {
        let cx = BuildContext::for_tests();
        let connection = Connection::new("127.0.0.1:9", None, &Default::default(), &cx).within(Some(1));
        let watch = Watch::of(&cx, &connection);
        watch.heard(&out_of_reach(), REFUSED);
        assert!(watch.fatal().is_none(), "there is time left");
        let long_ago = Instant::now().checked_sub(Duration::from_secs(2)).expect("a clock that runs for so long");
        watch.trouble.lock().silence.as_mut().expect("no answer").since = long_ago;
        let error = watch.fatal().expect("an error");
        assert!(
            error.to_string().contains("no answer from broker 127.0.0.1:9 (connection refused) within 1 s"),
            "{error}"
        );
        assert!(error.help_text().is_some_and(|help| help.contains("connect_timeout_secs")));
        watch.fine();
        watch.heard(&out_of_reach(), REFUSED);
        watch.trouble.lock().silence.as_mut().expect("no answer").since = long_ago;
        assert!(watch.fatal().is_none(), "what has answered once is waited for");
    }
}
