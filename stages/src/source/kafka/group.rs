//! Membership in the consumer group: joining it, waiting for it, leaving it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aqpipe_engine::stage::{BuildContext, Latch, SourceContext};
use aqpipe_engine::{Error, Result};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka::{ClientConfig, Message};

use super::StartOffset;
use super::assignment::Assignment;
use super::topic_identity::TOPIC_ID_CHECK_INTERVAL;
use crate::codec::json::DecoderOptions;
use crate::kafka::EmbeddedBroker;
use crate::kafka::client::{Connection, is_transient};
use crate::kafka::topics::{self, TopicWait};
use crate::kafka::transactions::TransactionManager;

/// How long splits may take to drain and commit when their partitions are taken away, or at a stop.
pub(super) const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
/// How long one poll of the main queue waits: nothing but events comes through it.
const POLL_TIMEOUT: Duration = Duration::from_millis(50);
/// How long the group may take to assign before that is worth a word, and the pause between words.
const WAIT_REPORT_DELAY: Duration = Duration::from_secs(1);
const WAIT_REPORT_INTERVAL: Duration = Duration::from_secs(5);
/// How often the ends of partitions are asked for, to know the lag.
const LAG_UPDATE_INTERVAL: Duration = Duration::from_secs(5);
/// How long leaving the group may take.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);

/// What the source was told.
pub(super) struct Settings {
    pub(super) connection: Connection,
    pub(super) transaction_manager: Arc<TransactionManager>,
    pub(super) group: String,
    pub(super) topics: Vec<String>,
    pub(super) start: StartOffset,
    pub(super) until_end: bool,
    pub(super) session_timeout_secs: u32,
    pub(super) decoder: DecoderOptions,
    pub(super) upstream: Arc<Latch>,
    pub(super) embedded: Option<Arc<EmbeddedBroker>>,
}

impl Settings {
    fn consumer(&self) -> ClientConfig {
        let mut config = self.connection.common();
        let session = u64::from(self.session_timeout_secs) * 1_000;
        config.set("group.id", &self.group);
        config.set("session.timeout.ms", session.to_string());
        config.set("heartbeat.interval.ms", (session / 3).clamp(100, 3_000).to_string());
        config.set("max.poll.interval.ms", session.max(300_000).to_string());
        config.set("partition.assignment.strategy", "range");
        // Positions are the engine's: it says where a split starts, and when what it read is done.
        config.set("enable.auto.commit", "false");
        config.set("enable.auto.offset.store", "false");
        config.set("auto.offset.reset", "error");
        config.set("enable.partition.eof", "true");
        config.set("isolation.level", "read_committed");
        // A partition that is read as fast as it comes waits for its next fetch until one of partitions at their end has
        // come back, and that is after so long: the default of 500 ms is an idle half second for each full queue.
        config.set("fetch.wait.max.ms", "20");
        // New partitions are seen within half a minute.
        config.set("topic.metadata.refresh.interval.ms", "30000");
        // A full queue is looked at again after this pause; the default of a second stalls the split for that long.
        config.set("fetch.queue.backoff.ms", "10");
        // A partition's queue, of which there is one a split.
        config.set("queued.min.messages", "50000");
        config.set("queued.max.messages.kbytes", "16384");
        self.connection.properties.apply(&mut config);
        config
    }
}

/// The consumer of the group, with what is assigned to it.
pub(super) struct Group {
    consumer: Arc<BaseConsumer<Assignment>>,
}

impl Group {
    /// A consumer that has not joined yet. Connects in the background and waits for nothing.
    pub(super) fn new(settings: Settings, cx: &BuildContext) -> Result<Group> {
        let config = settings.consumer();
        let assignment = {
            let monitor = settings.connection.monitor(cx);
            Assignment::new(settings, monitor)
        };
        let consumer: BaseConsumer<Assignment> = config
            .create_with_context(assignment)
            .map_err(|error| Error::config("cannot create a Kafka consumer").because(error))?;
        let consumer = Arc::new(consumer);
        consumer.context().belongs_to(&consumer);
        Ok(Group { consumer })
    }

    pub(super) fn consumer(&self) -> &Arc<BaseConsumer<Assignment>> {
        &self.consumer
    }

    fn assignment(&self) -> &Assignment {
        self.consumer.context()
    }

    /// Joins the group and serves it until the splits have ended, a stop is asked for or something fails.
    pub(super) fn run(&self, splits: &Arc<dyn SourceContext>) -> Result<()> {
        if !self.await_topics(&**splits)? {
            return Ok(());
        }
        let assignment = self.assignment();
        let settings = &assignment.settings;
        assignment.compare_topics(&self.consumer)?;
        assignment.attach(splits);
        let topics: Vec<&str> = settings.topics.iter().map(String::as_str).collect();
        let joined = self
            .consumer
            .subscribe(&topics)
            .map_err(|error| Error::new(format!("cannot subscribe to {}", topics.join(", "))).because(error));
        let served = joined.and_then(|()| self.serve(&**splits));
        let left = self.leave(&**splits);
        assignment.monitor.metrics.waiting("group", None);
        served.and(left)
    }

    /// Waits until all topics are there; false where a stop came first.
    fn await_topics(&self, splits: &dyn SourceContext) -> Result<bool> {
        let assignment = self.assignment();
        for topic in &assignment.settings.topics {
            if let Some(embedded) = &assignment.settings.embedded {
                embedded.create_topic(topic, topics::CreateTopic::default().partitions)?;
            }
            let stopping = || {
                // The main queue carries the client's log lines and errors.
                let _ = self.consumer.poll(Duration::ZERO);
                splits.stopping()
            };
            match topics::await_topic(self.consumer.client(), &assignment.monitor, topic, false, &stopping)? {
                TopicWait::Found(_) => {}
                TopicWait::Missing => {
                    return Err(topics::no_topic(&assignment.settings.connection.brokers, topic, false));
                }
                TopicWait::Stopped => return Ok(false),
            }
        }
        Ok(true)
    }

    fn serve(&self, splits: &dyn SourceContext) -> Result<()> {
        let assignment = self.assignment();
        let mut waiting = AssignmentWait::new();
        let mut ends = Instant::now();
        let mut compared = Instant::now();
        while !splits.stopping() {
            if compared.elapsed() >= TOPIC_ID_CHECK_INTERVAL {
                assignment.compare_topics(&self.consumer)?;
                compared = Instant::now();
            }
            match self.consumer.poll(POLL_TIMEOUT) {
                None => {}
                Some(Ok(message)) => {
                    let place = format!("{}/{}@{}", message.topic(), message.partition(), message.offset());
                    return Err(Error::bug("a message came outside its split").at(place));
                }
                Some(Err(error)) => self.handle_error(error)?,
            }
            if let Some(error) = assignment.take_failure() {
                return Err(error);
            }
            if let Some(error) = assignment.monitor.fatal() {
                return Err(error);
            }
            if assignment.is_assigned() {
                waiting.ended(assignment);
                if assignment.settings.until_end && assignment.all_ended(splits) {
                    // There may be no later start that would notice.
                    return assignment.compare_topics(&self.consumer);
                }
                if ends.elapsed() >= LAG_UPDATE_INTERVAL {
                    assignment.update_ends(&self.consumer);
                    ends = Instant::now();
                }
            } else {
                waiting.report(assignment);
            }
        }
        Ok(())
    }

    /// Takes an error of the main queue: most pass, and librdkafka goes on by itself.
    fn handle_error(&self, error: KafkaError) -> Result<()> {
        let monitor = &self.assignment().monitor;
        match error.rdkafka_error_code() {
            // Told when the client reported it.
            Some(code) if is_transient(code) => {
                monitor.retried(code);
                Ok(())
            }
            Some(Code::PollExceeded) => {
                monitor.failure("the group took the partitions away, for this member did not ask for messages in time");
                Ok(())
            }
            Some(Code::UnknownTopicOrPartition | Code::UnknownTopic) => {
                self.assignment().compare_topics(&self.consumer)?;
                let topics = self.assignment().settings.topics.join("`, `");
                Err(Error::new(format!("a topic is gone of those that are read: `{topics}`"))
                    .because(error)
                    .help("was it deleted while the pipeline ran?"))
            }
            Some(Code::GroupAuthorizationFailed | Code::TopicAuthorizationFailed) => {
                Err(Error::new("the user may not read").because(error).help("it needs read rights on group and topic"))
            }
            _ => Err(Error::new("the consumer failed").because(error)),
        }
    }

    /// Drains the splits, so that what they read is committed while this is still a member, and leaves.
    fn leave(&self, splits: &dyn SourceContext) -> Result<()> {
        let assignment = self.assignment();
        let closed = assignment.close_all(splits);
        self.consumer.unsubscribe();
        let until = Instant::now() + LEAVE_TIMEOUT;
        // Leaving takes the partitions away, which is answered in a poll.
        while Instant::now() < until && self.consumer.assignment().is_ok_and(|assigned| assigned.count() > 0) {
            let _ = self.consumer.poll(Duration::from_millis(10));
        }
        let failure = assignment.take_failure();
        assignment.detach();
        closed?;
        failure.map_or(Ok(()), Err)
    }
}

/// Says that the group keeps this member waiting.
struct AssignmentWait {
    since: Instant,
    told: Option<Instant>,
}

impl AssignmentWait {
    fn new() -> AssignmentWait {
        AssignmentWait { since: Instant::now(), told: None }
    }

    fn ended(&mut self, assignment: &Assignment) {
        if self.told.take().is_some() {
            assignment.monitor.metrics.waiting("group", None);
        }
        self.since = Instant::now();
    }

    fn report(&mut self, assignment: &Assignment) {
        let waited = self.since.elapsed();
        if waited < WAIT_REPORT_DELAY || self.told.is_some_and(|told| told.elapsed() < WAIT_REPORT_INTERVAL) {
            return;
        }
        let (group, most) = (&assignment.settings.group, assignment.settings.session_timeout_secs);
        let what = format!(
            "group `{group}` to assign partitions, for {} s now; those of a member that died are given to others after \
             {most} s (`session_timeout_secs`)",
            waited.as_secs()
        );
        let (pipeline, stage) = (&*assignment.monitor.pipeline, &*assignment.monitor.stage);
        tracing::info!(pipeline, stage, "waiting for {what}");
        assignment.monitor.metrics.waiting("group", Some(what));
        self.told = Some(Instant::now());
    }
}
