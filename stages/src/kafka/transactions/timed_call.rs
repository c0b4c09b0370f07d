//! Calls of librdkafka that may never return.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::error::TransactionError;
use aqpipe_engine::Error;

/// How often a wait checks for cancellation.
const CANCEL_CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// Makes a call on a thread of its own. An error of `check` ends the wait for it. Returns `None` where the call has not
/// returned within `timeout`: nothing can end it, so the thread stays, with everything that the call holds.
pub(super) fn call_within<T: Send + 'static>(
    timeout: Duration,
    check: impl Fn() -> Result<(), TransactionError>,
    call: impl FnOnce() -> T + Send + 'static,
) -> Result<Option<T>, TransactionError> {
    let (sender, receiver) = mpsc::channel();
    let call = move || {
        // The receiver is gone where the call took too long.
        let _ = sender.send(call());
    };
    let thread = std::thread::Builder::new().name("kafka call".to_owned()).spawn(call);
    thread.map_err(|error| TransactionError::Permanent(Error::new("cannot start a thread").because(error)))?;
    let since = Instant::now();
    loop {
        match receiver.recv_timeout(CANCEL_CHECK_INTERVAL) {
            Ok(result) => return Ok(Some(result)),
            Err(RecvTimeoutError::Disconnected) => {
                return Err(TransactionError::Permanent(Error::bug("a call of the Kafka library panicked")));
            }
            Err(RecvTimeoutError::Timeout) if since.elapsed() > timeout => return Ok(None),
            Err(RecvTimeoutError::Timeout) => check()?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    #[test]
    fn the_result_of_a_call_is_returned() {
        assert_eq!(call_within(LONG, || Ok(()), || 7).expect("came back"), Some(7));
    }

    #[test]
    fn a_call_that_does_not_come_back_is_left_behind() {
        let (end, ends) = mpsc::channel::<()>();
        let came = call_within(Duration::from_millis(1), || Ok(()), move || ends.recv().is_ok()).expect("no trouble");
        assert_eq!(came, None);
        end.send(()).expect("it still waits");
    }

    #[test]
    fn a_wait_for_a_call_ends_when_it_is_told_to() {
        let (end, ends) = mpsc::channel::<()>();
        let stop = || Err(TransactionError::Permanent(Error::new("a stop")));
        let came = call_within(LONG, stop, move || ends.recv().is_ok());
        assert!(matches!(came, Err(TransactionError::Permanent(error)) if error.to_string().contains("a stop")));
        end.send(()).expect("it still waits");
    }

    #[test]
    fn a_call_that_panics_is_an_error() {
        let came: Result<Option<()>, TransactionError> = call_within(LONG, || Ok(()), || panic!("on purpose"));
        assert!(matches!(came, Err(TransactionError::Permanent(_))));
    }
}
