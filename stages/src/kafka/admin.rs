//! Administrative requests: creating topics, deleting groups.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use aqpipe_engine::{Error, Result};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::types::RDKafkaErrorCode as Code;

use super::error_class::is_transient;
use super::topic_options::CreateTopic;

/// How long a request may take.
const ADMIN_TIMEOUT: Duration = Duration::from_secs(30);
/// How much longer its answer is waited for, so that a timeout is the one that the client reports.
const ANSWER_GRACE: Duration = Duration::from_secs(2);
/// The pause before a request is repeated.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// Creates a topic; no error where another process has just created it.
pub(crate) fn create_topic(config: &ClientConfig, topic: &str, how: CreateTopic, set: &[(&str, &str)]) -> Result<()> {
    let failed = |why: String| Error::new(format!("cannot create topic `{topic}`")).because(why);
    let admin = admin(config)?;
    let new = NewTopic::new(topic, how.partitions, TopicReplication::Fixed(how.replication));
    let new = set.iter().fold(new, |new, (name, value)| new.set(name, value));
    let options = options();
    let answers = wait(admin.create_topics([&new], &options))
        .ok_or_else(|| failed("no answer".to_owned()))?
        .map_err(|error| failed(error.to_string()))?;
    match answers.into_iter().next() {
        Some(Err((_, Code::TopicAlreadyExists)) | Ok(_)) => Ok(()),
        Some(Err((_, code))) => Err(failed(code.to_string())),
        None => Err(failed("no answer".to_owned())),
    }
}

/// Deletes a consumer group with its offsets; no error where there is none.
pub(crate) fn delete_group(config: &ClientConfig, group: &str) -> Result<()> {
    let failed = |why: String| Error::new(format!("cannot forget the offsets of group `{group}`")).because(why);
    let admin = admin(config)?;
    let started = Instant::now();
    loop {
        let options = options();
        let answers = wait(admin.delete_groups(&[group], &options)).ok_or_else(|| failed("no answer".to_owned()))?;
        let code = match answers {
            Ok(answers) => match answers.into_iter().next() {
                Some(Ok(_)) => return Ok(()),
                Some(Err((_, code))) => code,
                None => return Err(failed("no answer".to_owned())),
            },
            Err(error) => error.rdkafka_error_code().ok_or_else(|| failed(error.to_string()))?,
        };
        match code {
            Code::GroupIdNotFound => return Ok(()),
            Code::NonEmptyGroup => {
                return Err(failed("the group has members".to_owned())
                    .help("stop the other instances first, or wait until a dead one has expired"));
            }
            code if is_transient(code) && started.elapsed() < ADMIN_TIMEOUT => std::thread::sleep(RETRY_PAUSE),
            code => return Err(failed(code.to_string())),
        }
    }
}

fn admin(config: &ClientConfig) -> Result<AdminClient<rdkafka::client::DefaultClientContext>> {
    config.create().map_err(|error| Error::new("cannot create a Kafka client").because(error))
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(ADMIN_TIMEOUT)).operation_timeout(Some(ADMIN_TIMEOUT))
}

/// Waits for an answer on this thread, a little longer than the request itself may take.
fn wait<F: Future>(future: F) -> Option<F::Output> {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    let until = Instant::now() + ADMIN_TIMEOUT + ANSWER_GRACE;
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        std::thread::park_timeout(until.checked_duration_since(Instant::now())?);
    }
}
