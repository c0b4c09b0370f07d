//! A question to the brokers, and the event that brings its answer.

use std::ffi::{CString, c_char};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::client::Client;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka_sys as sys;

use crate::handle::Handle;

/// Room for a message of the library about an option that it does not take.
const WORDS: usize = 256;
/// How much longer an answer is waited for, so that it is the library's own that there was none.
const ANSWER_GRACE: Duration = Duration::from_millis(200);

/// What a question is asked with.
pub(crate) struct Question {
    options: Handle<sys::rd_kafka_AdminOptions_t>,
    queue: Handle<sys::rd_kafka_queue_t>,
    until: Instant,
}

/// Names of topics as the library takes them: it refuses one that is there twice, and one that is empty.
pub(crate) fn topic_names(topics: &[&str]) -> Vec<CString> {
    let mut names: Vec<CString> = topics.iter().filter_map(|topic| CString::new(*topic).ok()).collect();
    names.retain(|name| !name.is_empty());
    names.sort_unstable();
    names.dedup();
    names
}

/// The library made no object.
pub(crate) fn no_memory() -> KafkaError {
    KafkaError::AdminOpCreation("librdkafka made no request".to_owned())
}

impl Question {
    /// A question of that kind through a client, which outlives it; the brokers have so long to answer.
    pub(crate) fn new<C: ClientContext>(
        client: &Client<C>,
        kind: sys::rd_kafka_admin_op_t,
        timeout: Duration,
    ) -> Result<Question, KafkaError> {
        let rk = client.native_ptr();
        // SAFETY: `client` keeps `rk` alive.
        let options = unsafe { sys::rd_kafka_AdminOptions_new(rk, kind) };
        // SAFETY: the options are new, and this is the function that gives them back.
        let options = unsafe { Handle::own(options, sys::rd_kafka_AdminOptions_destroy) }.ok_or_else(no_memory)?;
        let millis = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX).max(1);
        let mut words: [c_char; WORDS] = [0; WORDS];
        // SAFETY: the options are alive, and `words` is as long as is said.
        let set = unsafe {
            sys::rd_kafka_AdminOptions_set_request_timeout(options.as_ptr(), millis, words.as_mut_ptr(), words.len())
        };
        if set != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Err(KafkaError::Global(set.into()));
        }
        // SAFETY: `client` keeps `rk` alive.
        let queue = unsafe { sys::rd_kafka_queue_new(rk) };
        // SAFETY: the queue is new, and this is the function that gives one back. An answer that comes later than that is
        // dropped by the library, which counts who refers to a queue.
        let queue = unsafe { Handle::own(queue, sys::rd_kafka_queue_destroy) }.ok_or_else(no_memory)?;
        Ok(Question { options, queue, until: Instant::now() + timeout + ANSWER_GRACE })
    }

    pub(crate) fn options(&self) -> *mut sys::rd_kafka_AdminOptions_t {
        self.options.as_ptr()
    }

    /// Where the answer comes.
    pub(crate) fn queue(&self) -> *mut sys::rd_kafka_queue_t {
        self.queue.as_ptr()
    }

    /// Waits for the answer, once the question was asked.
    ///
    /// # Errors
    /// Where the brokers do not answer in time, or refuse to.
    pub(crate) fn answer(&self) -> Result<Handle<sys::rd_kafka_event_t>, KafkaError> {
        let left = self.until.saturating_duration_since(Instant::now());
        let left = i32::try_from(left.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the queue is alive, and nobody else polls it.
        let event = unsafe { sys::rd_kafka_queue_poll(self.queue.as_ptr(), left) };
        // SAFETY: whoever polls owns the event, and this is the function that gives one back.
        let event = unsafe { Handle::own(event, sys::rd_kafka_event_destroy) };
        let event = event.ok_or(KafkaError::Global(Code::OperationTimedOut))?;
        // SAFETY: the event is alive.
        match unsafe { sys::rd_kafka_event_error(event.as_ptr()) } {
            sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(event),
            error => Err(KafkaError::Global(error.into())),
        }
    }
}
