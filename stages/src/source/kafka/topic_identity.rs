//! The ids of topics: one that was deleted and made anew under its name has another id.

use std::collections::BTreeMap;
use std::time::Duration;

use aqpipe_engine::{Error, Result};
use aqpipe_librdkafka::{TopicId, topic_ids};
use parking_lot::Mutex;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;

/// How often topic ids are compared while a source runs.
pub(super) const TOPIC_ID_CHECK_INTERVAL: Duration = Duration::from_secs(30);
/// How long brokers may take to tell topic ids.
const TOPIC_ID_TIMEOUT: Duration = Duration::from_secs(2);
/// The pause before brokers that did not answer are asked again.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// After so many requests without any answer brokers are taken for ones without topic ids, and asked no more.
const UNANSWERED_MAX: u32 = 3;

/// The ids of a source's topics, as this process first saw them.
#[derive(Debug, Default)]
pub(super) struct TopicIdentities(Mutex<KnownIds>);

#[derive(Debug, Default)]
struct KnownIds {
    ids: BTreeMap<String, TopicId>,
    answered: bool,
    unanswered: u32,
}

impl TopicIdentities {
    /// Compares the ids of topics with those seen first. A topic without an answer counts as the same: brokers before 2.8
    /// have no ids, and some do not tell them to every user.
    ///
    /// # Errors
    /// Where a topic has another id than before.
    pub(super) fn compare<C: ConsumerContext>(&self, consumer: &BaseConsumer<C>, topics: &[&str]) -> Result<()> {
        let unanswered = {
            let known = self.0.lock();
            !known.answered && known.unanswered >= UNANSWERED_MAX
        };
        if unanswered {
            return Ok(());
        }
        match topic_ids(consumer.client(), topics, TOPIC_ID_TIMEOUT) {
            Ok(now) => self.take(now),
            Err(error) => {
                tracing::debug!("the brokers do not tell the ids of topics: {error}");
                self.0.lock().unanswered += 1;
                Ok(())
            }
        }
    }

    fn take(&self, now: BTreeMap<String, TopicId>) -> Result<()> {
        let mut known = self.0.lock();
        known.answered = true;
        for (topic, id) in now {
            let was = *known.ids.entry(topic.clone()).or_insert(id);
            same(&topic, was, id)?;
        }
        Ok(())
    }

    /// The id of a topic, once the brokers have told it.
    pub(super) fn of(&self, topic: &str) -> Option<TopicId> {
        self.0.lock().ids.get(topic).copied()
    }

    /// Compares a topic with the one that an earlier run read; returns whether the brokers answered. They gave an id then,
    /// so they are asked until they do so again or until `give_up`. In the latter case the topic counts as the same until
    /// an answer comes.
    ///
    /// # Errors
    /// Where the topic has another id.
    pub(super) fn compare_with<C: ConsumerContext>(
        &self,
        consumer: &BaseConsumer<C>,
        topic: &str,
        was: TopicId,
        give_up: impl Fn() -> bool,
    ) -> Result<bool> {
        self.compare_by(|| topic_ids(consumer.client(), &[topic], TOPIC_ID_TIMEOUT), topic, was, give_up)
    }

    fn compare_by(
        &self,
        mut ask: impl FnMut() -> Result<BTreeMap<String, TopicId>, KafkaError>,
        topic: &str,
        was: TopicId,
        give_up: impl Fn() -> bool,
    ) -> Result<bool> {
        loop {
            if let Some(id) = self.of(topic) {
                return same(topic, was, id).map(|()| true);
            }
            if give_up() {
                let mut known = self.0.lock();
                known.ids.insert(topic.to_owned(), was);
                // The brokers gave an id once, so they are asked again.
                known.answered = true;
                return Ok(false);
            }
            match ask() {
                Ok(now) if !now.contains_key(topic) => return Ok(true),
                Ok(now) => self.take(now)?,
                Err(error) => {
                    tracing::debug!("the brokers do not tell the id of topic `{topic}`: {error}");
                    std::thread::sleep(RETRY_PAUSE);
                }
            }
        }
    }
}

fn same(topic: &str, was: TopicId, is: TopicId) -> Result<()> {
    if was == is {
        return Ok(());
    }
    Err(Error::new(format!("topic `{topic}` was deleted and made anew: its id was {was}, and now it is {is}")).help(
        "positions and state belong to the topic that is gone: `--fresh` forgets them and begins with what is there now",
    ))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use rdkafka::types::RDKafkaErrorCode;

    use super::*;

    fn id(number: u128) -> TopicId {
        TopicId::new(number).expect("an id")
    }

    #[test]
    fn a_topic_that_has_another_id_than_before_is_an_error_with_both_and_a_way_out() {
        let identities = TopicIdentities::default();
        let told = |topic: &str, number| identities.take(BTreeMap::from([(topic.to_owned(), id(number))]));
        told("t", 1).expect("the first time");
        told("u", 2).expect("another topic");
        told("t", 1).expect("the same one");
        identities.take(BTreeMap::new()).expect("nothing was told");
        assert_eq!((identities.of("t"), identities.of("v")), (Some(id(1)), None));
        let error = told("t", 3).expect_err("another id");
        for part in ["`t`", &id(1).to_string(), &id(3).to_string()] {
            assert!(error.to_string().contains(part), "{error}");
        }
        assert!(error.help_text().is_some_and(|help| help.contains("--fresh")), "{error}");
    }

    #[test]
    fn brokers_that_do_not_tell_an_id_are_asked_until_they_do_or_it_is_time_to_give_up() {
        let silence = || Err(KafkaError::Global(RDKafkaErrorCode::OperationTimedOut));
        // After so many questions they answer, or nobody asks any more; the id that they tell, and what comes of it.
        for (unanswered, patience, told, expected) in [
            (0, 9, Some(1), Some(true)),
            (2, 9, Some(1), Some(true)),
            (2, 9, Some(3), None),
            (2, 9, None, Some(true)),
            (9, 2, Some(1), Some(false)),
            (9, 0, Some(1), Some(false)),
        ] {
            let identities = TopicIdentities::default();
            let asked = Cell::new(0);
            let ask = || {
                asked.set(asked.get() + 1);
                let told = told.map(|number| ("t".to_owned(), id(number)));
                if asked.get() > unanswered { Ok(told.into_iter().collect()) } else { silence() }
            };
            let compared = identities.compare_by(ask, "t", id(1), || asked.get() >= patience);
            assert_eq!(compared.ok(), expected, "{unanswered} {patience} {told:?}");
            assert_eq!(asked.get(), patience.min(unanswered + 1));
        }
    }

    #[test]
    fn a_topic_that_was_taken_for_the_same_one_without_an_answer_is_an_error_once_its_id_is_told() {
        let identities = TopicIdentities::default();
        let silence = || Err(KafkaError::Global(RDKafkaErrorCode::OperationTimedOut));
        assert!(!identities.compare_by(silence, "t", id(1), || true).expect("nobody knows better"));
        assert!(identities.compare_by(silence, "t", id(1), || true).expect("another partition of it"), "waits once");
        let told = |number| identities.take(BTreeMap::from([("t".to_owned(), id(number))]));
        told(1).expect("the same one");
        assert!(told(2).is_err(), "another one");
    }
}
