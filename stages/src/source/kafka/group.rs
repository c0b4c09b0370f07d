//! Membership in the consumer group: joining it, waiting for it, leaving it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use aqpipe_engine::stage::{BuildContext, SourceContext};
use aqpipe_engine::{Error, Result};
use aqpipe_librdkafka::{Bell, has_events};
use rdkafka::Message;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;

use super::membership::Membership;
use super::offsets::GroupOffsets;
use super::other_members::OtherMembers;
use super::rebalance::{GroupConsumer, RebalanceHandler};
use super::settings::Settings;
use super::topic_identity::TOPIC_ID_CHECK_INTERVAL;
use super::wait_report::WaitReport;
use crate::kafka::error_class::is_transient;
use crate::kafka::metadata_client::CloseOnDrop;
use crate::kafka::statistics;
use crate::kafka::topics::{self, TopicWait};

/// How often the group's thread looks for a split that has failed; events of the client and a stop wake it.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// The same where the run ends with its splits.
const LOOK_INTERVAL_UNTIL_END: Duration = Duration::from_millis(10);
/// How often the ends of partitions are asked for, to know the lag.
const LAG_UPDATE_INTERVAL: Duration = Duration::from_secs(5);
/// How long leaving the group may take.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one look at the group takes while it is left.
const LEAVE_POLL_TIMEOUT: Duration = Duration::from_millis(10);

/// A source's member of the consumer group.
pub(super) struct Group {
    consumer: Arc<GroupConsumer>,
    membership: Arc<Membership>,
    /// Rung by events of the client and by a stop.
    bell: Arc<Bell>,
    /// Whoever has it may still use the consumer.
    closes: Arc<CloseOnDrop<RebalanceHandler>>,
}

impl Group {
    /// A consumer that has not joined yet. Connects in the background and waits for nothing.
    ///
    /// # Errors
    /// Where the properties contradict each other.
    pub(super) fn new(settings: Settings, cx: &BuildContext) -> Result<Group> {
        let mut config = settings.consumer_config();
        statistics::report(&mut config);
        let monitor = settings.endpoint.monitor(cx);
        let membership = Arc::new(Membership::new(settings, monitor));
        let mut consumer: GroupConsumer = config
            .create_with_context(RebalanceHandler::new(Arc::clone(&membership)))
            .map_err(|error| Error::config("cannot create a Kafka consumer").because(error))?;
        let bell = Arc::<Bell>::default();
        let (rung, stopped) = (Arc::clone(&bell), Arc::downgrade(&bell));
        consumer.set_nonempty_callback(move || rung.ring());
        cx.cancellation().on_change(move |_| {
            if let Some(bell) = stopped.upgrade() {
                bell.ring();
            }
        });
        let consumer = Arc::new(consumer);
        consumer.context().belongs_to(&consumer);
        let closes = Arc::new(CloseOnDrop(Arc::clone(&consumer)));
        Ok(Group { consumer, membership, bell, closes })
    }

    /// The offsets that the group keeps.
    pub(super) fn offsets(&self) -> GroupOffsets<RebalanceHandler> {
        GroupOffsets::new(&self.consumer, &self.membership, &self.closes)
    }

    /// Joins the group and serves it until the splits have ended, a stop is asked for or something fails.
    pub(super) fn run(&self, splits: &Arc<dyn SourceContext>) -> Result<()> {
        if !self.await_topics(&**splits)? {
            return Ok(());
        }
        let membership = &self.membership;
        membership.compare_topics(&self.consumer)?;
        membership.attach(splits);
        let topics = membership.settings.topics();
        let joined = self
            .consumer
            .subscribe(&topics)
            .map_err(|error| Error::new(format!("cannot subscribe to {}", topics.join(", "))).because(error));
        let served = joined.and_then(|()| self.serve(&**splits));
        let left = self.leave(&**splits);
        membership.monitor.metrics.waiting("group", None);
        served.and(left)
    }

    /// Waits until all topics are there; false where a stop came first.
    fn await_topics(&self, splits: &dyn SourceContext) -> Result<bool> {
        let (membership, endpoint) = (&self.membership, &self.membership.settings.endpoint);
        for topic in &membership.settings.topics {
            endpoint.create_embedded_topic(topic, None)?;
            let stopping = || {
                // The main queue carries the client's log lines and errors.
                let _ = self.consumer.poll(Duration::ZERO);
                splits.stopping()
            };
            match topics::await_topic(self.consumer.client(), &membership.monitor, topic, false, &stopping)? {
                TopicWait::Found(_) => {}
                TopicWait::Missing => {
                    let there = topics::names_there(self.consumer.client());
                    let error = topics::no_topic(endpoint.brokers(), topic, false);
                    return Err(there.into_iter().fold(error, Error::because));
                }
                TopicWait::Stopped => return Ok(false),
            }
        }
        Ok(true)
    }

    fn serve(&self, splits: &dyn SourceContext) -> Result<()> {
        let membership = &self.membership;
        let mut waiting = WaitReport::new();
        let mut others = OtherMembers::new();
        let mut ends = Instant::now();
        let mut compared = Instant::now();
        while !splits.stopping() {
            if compared.elapsed() >= TOPIC_ID_CHECK_INTERVAL {
                membership.compare_topics(&self.consumer)?;
                compared = Instant::now();
            }
            match self.consumer.poll(Duration::ZERO) {
                None => {}
                Some(Ok(message)) => {
                    let place = format!("{}/{}@{}", message.topic(), message.partition(), message.offset());
                    return Err(Error::bug("a message came outside its split").at(place));
                }
                Some(Err(error)) => self.handle_error(error)?,
            }
            if let Some(error) = membership.take_failure() {
                return Err(error);
            }
            if let Some(error) = membership.monitor.fatal() {
                return Err(error);
            }
            if membership.is_assigned() {
                waiting.ended(membership);
                if membership.settings.until_end
                    && membership.all_ended(splits)
                    && others.are_done(&self.consumer, membership)?
                {
                    // There may be no later start that would notice a topic that was made anew.
                    return membership.compare_topics(&self.consumer);
                }
                if ends.elapsed() >= LAG_UPDATE_INTERVAL {
                    membership.update_ends(&self.consumer);
                    ends = Instant::now();
                }
            } else {
                let (group, most) = (&membership.settings.group, membership.settings.session_timeout_secs);
                waiting.report(membership, |secs| {
                    format!(
                        "group `{group}` to assign partitions, for {secs} s now; those of a member that died are given to \
                         others after {most} s (`session_timeout_secs`)"
                    )
                });
            }
            if !has_events(&self.consumer) {
                let until_end = membership.settings.until_end;
                self.bell.wait(if until_end { LOOK_INTERVAL_UNTIL_END } else { LOOK_INTERVAL });
            }
        }
        Ok(())
    }

    /// Takes an error of the main queue: most pass, and librdkafka goes on by itself.
    fn handle_error(&self, error: KafkaError) -> Result<()> {
        let monitor = &self.membership.monitor;
        match error.rdkafka_error_code() {
            // Reported when the client did.
            Some(code) if is_transient(code) => {
                monitor.retried(code);
                Ok(())
            }
            Some(Code::PollExceeded) => {
                monitor.failure("the group took the partitions away, for this member did not ask for messages in time");
                Ok(())
            }
            Some(Code::UnknownTopicOrPartition | Code::UnknownTopic) => {
                self.membership.compare_topics(&self.consumer)?;
                let topics = self.membership.settings.topics.join("`, `");
                Err(Error::new(format!("a topic is gone of those that are read: `{topics}`"))
                    .because(error)
                    .help("was it deleted while the pipeline ran?"))
            }
            Some(Code::GroupAuthorizationFailed | Code::TopicAuthorizationFailed) => {
                Err(Error::new("the user may not read").because(error).help("it needs read rights on group and topic"))
            }
            Some(Code::InconsistentGroupProtocol) => {
                let group = &self.membership.settings.group;
                Err(Error::new(format!("members of group `{group}` have another `assignment`"))
                    .because(error)
                    .help("all members of a group have the same: stop all of them, and start them again with this one"))
            }
            _ => Err(Error::new("the consumer failed").because(error)),
        }
    }

    /// Drains the splits. The group is answered meanwhile: with a rebalance under way, it takes their last offsets only from
    /// a member that has been told of the new generation.
    fn close_all(&self, splits: &dyn SourceContext) -> Result<()> {
        std::thread::scope(|scope| {
            let closing = scope.spawn(|| self.membership.close_all(splits));
            while !closing.is_finished() {
                let _ = self.consumer.poll(LEAVE_POLL_TIMEOUT);
            }
            closing.join().unwrap_or_else(|_| Err(Error::bug("the thread that closes splits has panicked")))
        })
    }

    /// Drains the splits, so that what they read is committed while this is still a member, and leaves.
    fn leave(&self, splits: &dyn SourceContext) -> Result<()> {
        let membership = &self.membership;
        membership.is_leaving.store(true, Ordering::Relaxed);
        let closed = self.close_all(splits);
        if membership.settings.static_member.is_some() {
            // The group keeps the partitions of a static member for its next start.
            let failure = membership.take_failure();
            membership.detach();
            return closed.and(failure.map_or(Ok(()), Err));
        }
        self.consumer.unsubscribe();
        let until = Instant::now() + LEAVE_TIMEOUT;
        // Leaving revokes the partitions, which a poll answers.
        while Instant::now() < until && self.consumer.assignment().is_ok_and(|assigned| assigned.count() > 0) {
            let _ = self.consumer.poll(LEAVE_POLL_TIMEOUT);
        }
        let failure = membership.take_failure();
        membership.detach();
        closed?;
        failure.map_or(Ok(()), Err)
    }
}
