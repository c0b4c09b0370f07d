//! What identifies a topic beside its name: a topic that was deleted and made anew has another id.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char};
use std::fmt;
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::client::Client;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka_sys as sys;

use crate::handle::Handle;
use crate::question::{Question, no_memory, topic_names};

/// The id that brokers give a topic when it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(u128);

impl TopicId {
    /// The id with that number; `None` for zero, which stands for no id.
    #[must_use]
    pub fn new(number: u128) -> Option<TopicId> {
        (number != 0).then_some(TopicId(number))
    }

    /// The number that it is.
    #[must_use]
    pub fn number(self) -> u128 {
        self.0
    }
}

/// As Kafka's own tools show it: 22 characters of base64.
impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        for place in 0..22 {
            // Six bits at a time from the front; the last digit has two of them.
            let shift = 122 - 6 * place;
            let bits = if shift >= 0 { self.0 >> shift } else { self.0 << -shift };
            let digit = DIGITS[(bits & 0x3f) as usize];
            write!(f, "{}", digit as char)?;
        }
        Ok(())
    }
}

/// The ids of topics, as the brokers have them now; a topic that is not there, that the user may not see, or to which
/// the brokers give no id (before Kafka 2.8) is left out. Blocks until they answer, `timeout` at most.
///
/// # Errors
/// Where they do not answer in time, or refuse to.
pub fn topic_ids<C: ClientContext>(
    client: &Client<C>,
    topics: &[&str],
    timeout: Duration,
) -> Result<BTreeMap<String, TopicId>, KafkaError> {
    let names = topic_names(topics);
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let event = describe(client, &names, timeout)?;
    // SAFETY: the event is alive; the call returns null for an event of another kind.
    let result = unsafe { sys::rd_kafka_event_DescribeTopics_result(event.as_ptr()) };
    if result.is_null() {
        return Err(KafkaError::Global(Code::BadMessage));
    }
    let mut count = 0;
    // SAFETY: `result` was checked, and belongs to the event; `count` is written to before the call returns.
    let found = unsafe { sys::rd_kafka_DescribeTopics_result_topics(result, &raw mut count) };
    if found.is_null() || count == 0 {
        return Ok(BTreeMap::new());
    }
    // SAFETY: the library returned an array of `count` pointers, which belongs to the event.
    let found = unsafe { std::slice::from_raw_parts(found, count) };
    // A topic that the broker said nothing about is null.
    Ok(found.iter().filter(|topic| !topic.is_null()).filter_map(|topic| described(*topic)).collect())
}

/// Asks for the description of topics, and waits for the event that brings it.
fn describe<C: ClientContext>(
    client: &Client<C>,
    names: &[CString],
    timeout: Duration,
) -> Result<Handle<sys::rd_kafka_event_t>, KafkaError> {
    let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    // SAFETY: `pointers` are as many strings as is said, alive during the call; the library copies them.
    let topics = unsafe { sys::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len()) };
    // SAFETY: the collection is new, and this is the function that gives one back.
    let topics = unsafe { Handle::own(topics, sys::rd_kafka_TopicCollection_destroy) }.ok_or_else(no_memory)?;
    let question = Question::new(client, sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS, timeout)?;
    // SAFETY: all four are alive; the library keeps what it needs of them beyond the call.
    unsafe { sys::rd_kafka_DescribeTopics(client.native_ptr(), topics.as_ptr(), question.options(), question.queue()) };
    question.answer()
}

/// The name and the id of a topic that was described.
fn described(topic: *const sys::rd_kafka_TopicDescription_t) -> Option<(String, TopicId)> {
    // SAFETY: the caller holds the event that the description belongs to, and it is not null.
    let error = unsafe { sys::rd_kafka_TopicDescription_error(topic) };
    // Null where there is none. What it is stays unasked: it is the broker's word, and a code that these bindings do not
    // know would be no value of its type.
    if !error.is_null() {
        return None;
    }
    // SAFETY: as above.
    let name = unsafe { sys::rd_kafka_TopicDescription_name(topic) };
    // SAFETY: as above.
    let id = unsafe { sys::rd_kafka_TopicDescription_topic_id(topic) };
    if name.is_null() || id.is_null() {
        return None;
    }
    // SAFETY: the library ends names with a zero, and this one belongs to the description.
    let name = unsafe { CStr::from_ptr(name) }.to_str().ok()?.to_owned();
    // SAFETY: `id` belongs to the description.
    let high = unsafe { sys::rd_kafka_Uuid_most_significant_bits(id) };
    // SAFETY: as above.
    let low = unsafe { sys::rd_kafka_Uuid_least_significant_bits(id) };
    Some((name, TopicId::new(u128::from(high.cast_unsigned()) << 64 | u128::from(low.cast_unsigned()))?))
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use rdkafka::ClientConfig;
    use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
    use rdkafka::client::DefaultClientContext;
    use rdkafka::consumer::{BaseConsumer, Consumer};

    use super::*;

    fn client(brokers: &str) -> BaseConsumer {
        ClientConfig::new().set("bootstrap.servers", brokers).create().expect("a client")
    }

    fn wait<F: Future>(future: F) -> F::Output {
        let mut future = std::pin::pin!(future);
        let mut context = Context::from_waker(Waker::noop());
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return output;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    #[ignore = "needs Apache Kafka"]
    fn a_topic_has_one_id_until_it_is_made_anew_and_one_that_is_not_there_has_none() {
        let brokers = std::env::var("AQPIPE_TEST_BROKERS").expect("AQPIPE_TEST_BROKERS names a broker");
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_nanos();
        let (one, two) = (format!("aqpipe-test-id-{now}"), format!("aqpipe-test-other-id-{now}"));
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", &brokers).create().expect("a client");
        let make = |topic: &str| {
            let new = NewTopic::new(topic, 1, TopicReplication::Fixed(1));
            let made = wait(admin.create_topics([&new], &AdminOptions::new())).expect("an answer");
            made[0].as_ref().expect("a topic");
        };
        [&one, &two].into_iter().for_each(|topic| make(topic));
        let client = client(&brokers);
        let ids = |topics: &[&str]| topic_ids(client.client(), topics, Duration::from_secs(20)).expect("an answer");
        // A topic that was just made is known to the broker a moment later.
        let known = |topics: &[&str], count: usize| {
            let mut tries = 0..200;
            loop {
                let ids = ids(topics);
                if ids.len() == count {
                    return ids;
                }
                tries.next().expect("they become known");
                std::thread::sleep(Duration::from_millis(20));
            }
        };
        let both = known(&[&two, &one, &two, "", "a\0b", "aqpipe-test-there-is-none"], 2);
        assert_eq!(both.keys().collect::<Vec<_>>(), [&one, &two]);
        assert_ne!(both[&one], both[&two]);
        assert_eq!(ids(&[&one])[&one], both[&one]);
        wait(admin.delete_topics(&[&one], &AdminOptions::new())).expect("an answer")[0].as_ref().expect("deleted");
        let mut tries = 0..200;
        while ids(&[&one]).contains_key(&one) {
            tries.next().expect("it goes away");
            std::thread::sleep(Duration::from_millis(20));
        }
        make(&one);
        assert_ne!(known(&[&one], 1)[&one], both[&one]);
        assert!(ids(&[]).is_empty());
    }

    #[test]
    fn brokers_that_do_not_answer_are_an_error_after_the_time_that_was_given() {
        let client = client("127.0.0.1:9");
        let error = topic_ids(client.client(), &["t"], Duration::from_millis(300)).expect_err("no answer");
        assert!(error.rdkafka_error_code().is_some(), "{error}");
    }

    #[test]
    fn an_id_is_shown_as_the_tools_of_kafka_show_it() {
        let id = TopicId::new(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef).expect("an id");
        assert_eq!(id.to_string(), "ASNFZ4mrze8BI0VniavN7w");
        assert_eq!(TopicId::new(u128::MAX).expect("an id").to_string(), "_____________________w");
        assert_eq!((TopicId::new(0), TopicId::new(1).map(TopicId::number)), (None, Some(1)));
    }
}
