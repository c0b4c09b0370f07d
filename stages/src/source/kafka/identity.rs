//! Which topics these are: one that was deleted and made anew under its name has another id.

use std::collections::BTreeMap;
use std::time::Duration;

use aqpipe_engine::{Error, Result};
use aqpipe_librdkafka::{TopicId, topic_ids};
use parking_lot::Mutex;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};

/// How often the ids are compared while a source runs.
pub(super) const COMPARE: Duration = Duration::from_secs(30);
/// How long brokers may take to tell them.
const ANSWER: Duration = Duration::from_secs(2);
/// How often they are asked in a row where an id was noted, before that is an error.
const TRIES: u32 = 10;
/// After so many questions without any answer nobody is asked any more: such brokers give no ids.
const SILENT_MOST: u32 = 3;

/// The ids of a source's topics, as this process saw them first.
#[derive(Debug, Default)]
pub(super) struct Identities(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    ids: BTreeMap<String, TopicId>,
    answered: bool,
    silent: u32,
}

impl Identities {
    /// Asks for the ids of topics. Those that are not told are left out: brokers before 2.8 give none, and some do not
    /// tell them to everybody.
    ///
    /// # Errors
    /// Where a topic has another id than before.
    pub(super) fn compare<C: ConsumerContext>(&self, consumer: &BaseConsumer<C>, topics: &[&str]) -> Result<()> {
        let silent = {
            let known = self.0.lock();
            !known.answered && known.silent >= SILENT_MOST
        };
        if silent {
            return Ok(());
        }
        match topic_ids(consumer.client(), topics, ANSWER) {
            Ok(now) => self.take(now),
            Err(error) => {
                tracing::debug!("the brokers do not tell the ids of topics: {error}");
                self.0.lock().silent += 1;
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

    /// The id of a topic, once it was told.
    pub(super) fn of(&self, topic: &str) -> Option<TopicId> {
        self.0.lock().ids.get(topic).copied()
    }

    /// Compares a topic with one that was read before. Brokers that gave an id once are asked until they do so again.
    pub(super) fn compare_with<C: ConsumerContext>(
        &self,
        consumer: &BaseConsumer<C>,
        topic: &str,
        was: TopicId,
    ) -> Result<()> {
        for _ in 0..TRIES {
            match self.of(topic) {
                Some(id) => return same(topic, was, id),
                None => match topic_ids(consumer.client(), &[topic], ANSWER) {
                    Ok(now) if now.is_empty() => return Ok(()),
                    Ok(now) => self.take(now)?,
                    Err(error) => tracing::debug!("the brokers do not tell the id of topic `{topic}`: {error}"),
                },
            }
        }
        Err(Error::new(format!("the brokers do not tell whether topic `{topic}` is the one that was read before"))
            .help("run again once they answer"))
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
    use super::*;

    fn id(number: u128) -> TopicId {
        TopicId::new(number).expect("an id")
    }

    #[test]
    fn a_topic_that_has_another_id_than_before_is_an_error_with_both_and_a_way_out() {
        let identities = Identities::default();
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
}
