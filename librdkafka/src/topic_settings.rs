//! The settings of topics.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::client::Client;
use rdkafka::error::KafkaError;
use rdkafka_sys as sys;

use crate::handle::Handle;
use crate::question::{Question, no_memory, topic_names};

/// Settings by topic and name. Of a topic that is not there, or that the user may not see, there are none.
pub type TopicSettings = BTreeMap<String, BTreeMap<String, String>>;

/// The settings of topics, as the brokers have them now. Blocks until they answer, `timeout` at most.
///
/// Unlike rdkafka's admin client it needs no client and no thread of its own.
///
/// # Errors
/// Where they do not answer in time, or refuse to.
pub fn topic_settings<C: ClientContext>(
    client: &Client<C>,
    topics: &[&str],
    timeout: Duration,
) -> Result<TopicSettings, KafkaError> {
    let names = topic_names(topics);
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let event = describe(client, &names, timeout)?;
    // SAFETY: the event is alive; the call returns null for an event of another kind.
    let result = unsafe { sys::rd_kafka_event_DescribeConfigs_result(event.as_ptr()) };
    if result.is_null() {
        return Err(no_memory());
    }
    let mut count = 0;
    // SAFETY: `result` was checked, and belongs to the event; `count` is written to before the call returns.
    let found = unsafe { sys::rd_kafka_DescribeConfigs_result_resources(result, &raw mut count) };
    // SAFETY: the library returned an array of `count` pointers, which belongs to the event.
    let found = unsafe { array(found, count) };
    Ok(found.iter().filter_map(|resource| described(*resource)).collect())
}

/// Asks for the settings of topics, and waits for the event that brings them.
fn describe<C: ClientContext>(
    client: &Client<C>,
    names: &[CString],
    timeout: Duration,
) -> Result<Handle<sys::rd_kafka_event_t>, KafkaError> {
    let resource = |name: &CString| {
        let kind = sys::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC;
        // SAFETY: the name is alive during the call, which copies it.
        let resource = unsafe { sys::rd_kafka_ConfigResource_new(kind, name.as_ptr()) };
        // SAFETY: the resource is new, and this is the function that gives one back.
        unsafe { Handle::own(resource, sys::rd_kafka_ConfigResource_destroy) }.ok_or_else(no_memory)
    };
    let resources: Vec<_> = names.iter().map(resource).collect::<Result<_, _>>()?;
    let mut pointers: Vec<_> = resources.iter().map(Handle::as_ptr).collect();
    let question = Question::new(client, sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, timeout)?;
    let (first, count, rk) = (pointers.as_mut_ptr(), pointers.len(), client.native_ptr());
    // SAFETY: all are alive, and there are so many resources; the library keeps what it needs of them beyond the call.
    unsafe { sys::rd_kafka_DescribeConfigs(rk, first, count, question.options(), question.queue()) };
    question.answer()
}

/// The name of a topic, and its settings.
fn described(resource: *const sys::rd_kafka_ConfigResource_t) -> Option<(String, BTreeMap<String, String>)> {
    // SAFETY: the caller holds the event that the resource belongs to; the name is a string of the library, or null.
    let name = unsafe { text(sys::rd_kafka_ConfigResource_name, resource) }?;
    let mut count = 0;
    // SAFETY: as above; `count` is written to before the call returns.
    let entries = unsafe { sys::rd_kafka_ConfigResource_configs(resource, &raw mut count) };
    // SAFETY: the library returned an array of `count` pointers, which belongs to the event.
    let entries = unsafe { array(entries, count) };
    let entry = |entry: &*const sys::rd_kafka_ConfigEntry_t| {
        // SAFETY: the entry belongs to the event; its name is a string of the library, or null.
        let name = unsafe { text(sys::rd_kafka_ConfigEntry_name, *entry) }?;
        // SAFETY: the same of its value.
        Some((name, unsafe { text(sys::rd_kafka_ConfigEntry_value, *entry) }?))
    };
    Some((name, entries.iter().filter_map(entry).collect()))
}

/// The items of an array of the library.
///
/// # Safety
/// `first` is null, or there are `count` items from it on, which live for `'a`.
unsafe fn array<'a, T>(first: *mut *const T, count: usize) -> &'a [*const T] {
    if first.is_null() {
        return &[];
    }
    // SAFETY: as the caller says.
    unsafe { std::slice::from_raw_parts(first, count) }
}

/// A text of an object, as `of` returns it.
///
/// # Safety
/// `object` is null or may be handed to `of`, which returns null or a string that lives as long as the object.
unsafe fn text<T>(of: unsafe extern "C" fn(*const T) -> *const c_char, object: *const T) -> Option<String> {
    if object.is_null() {
        return None;
    }
    // SAFETY: as the caller says.
    let text = unsafe { of(object) };
    if text.is_null() {
        return None;
    }
    // SAFETY: as the caller says; the library ends its strings with a zero.
    Some(unsafe { CStr::from_ptr(text) }.to_str().ok()?.to_owned())
}

#[cfg(test)]
mod tests {
    use rdkafka::ClientConfig;
    use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
    use rdkafka::client::DefaultClientContext;
    use rdkafka::consumer::{BaseConsumer, Consumer};

    use super::*;

    fn client(brokers: &str) -> BaseConsumer {
        ClientConfig::new().set("bootstrap.servers", brokers).create().expect("a client")
    }

    #[test]
    #[ignore = "needs Apache Kafka"]
    fn settings_are_those_that_a_topic_was_made_with_and_one_that_is_not_there_has_none() {
        let brokers = std::env::var("AQPIPE_TEST_BROKERS").expect("AQPIPE_TEST_BROKERS names a broker");
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_nanos();
        let topic = format!("aqpipe-test-settings-{now}");
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", &brokers).create().expect("a client");
        let new = NewTopic::new(&topic, 1, TopicReplication::Fixed(1)).set("max.message.bytes", "12345");
        let made = wait(admin.create_topics([&new], &AdminOptions::new()));
        made.expect("an answer")[0].as_ref().expect("a topic");
        let client = client(&brokers);
        let asked = [&*topic, "", "a\0b", "aqpipe-test-there-is-none", &topic];
        let ask = || topic_settings(client.client(), &asked, Duration::from_secs(20)).expect("an answer");
        // A topic that was just made is known to the broker a moment later.
        let mut tries = 0..200;
        while ask().get(&topic).is_none_or(BTreeMap::is_empty) {
            tries.next().expect("it becomes known");
            std::thread::sleep(Duration::from_millis(20));
        }
        let found = ask();
        assert_eq!(found[&topic]["max.message.bytes"], "12345");
        assert!(found.get("aqpipe-test-there-is-none").is_none_or(BTreeMap::is_empty));
        assert!(topic_settings(client.client(), &[], Duration::ZERO).expect("nothing is asked").is_empty());
    }

    fn wait<F: Future>(future: F) -> F::Output {
        let mut future = std::pin::pin!(future);
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        loop {
            if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return output;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn brokers_that_do_not_answer_are_an_error_after_the_time_that_was_given() {
        let client = client("127.0.0.1:9");
        let error = topic_settings(client.client(), &["t"], Duration::from_millis(300)).expect_err("no answer");
        assert!(error.rdkafka_error_code().is_some(), "{error}");
    }
}
