//! Calls of the library that it may never come back from.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::trouble::Trouble;
use aqpipe_engine::Error;

/// How long nobody looks whether the wait is to end.
const LOOK: Duration = Duration::from_millis(50);

/// Makes a call on a thread of its own, so that `look` can end the wait for it. `None` where it has not come back after
/// `most`: the thread is then left behind with all that the call holds, for nothing can end it.
pub(super) fn bounded<T: Send + 'static>(
    most: Duration,
    look: impl Fn() -> Result<(), Trouble>,
    call: impl FnOnce() -> T + Send + 'static,
) -> Result<Option<T>, Trouble> {
    let (tell, told) = mpsc::channel();
    let call = move || {
        // Nobody listens any more where it took too long.
        let _ = tell.send(call());
    };
    let thread = std::thread::Builder::new().name("kafka call".to_owned()).spawn(call);
    thread.map_err(|error| Trouble::Stop(Error::new("cannot start a thread").because(error)))?;
    let since = Instant::now();
    loop {
        match told.recv_timeout(LOOK) {
            Ok(came) => return Ok(Some(came)),
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Trouble::Stop(Error::bug("a call of the Kafka library panicked")));
            }
            Err(RecvTimeoutError::Timeout) if since.elapsed() > most => return Ok(None),
            Err(RecvTimeoutError::Timeout) => look()?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    #[test]
    fn what_a_call_says_comes_back() {
        assert_eq!(bounded(LONG, || Ok(()), || 7).expect("came back"), Some(7));
    }

    #[test]
    fn a_call_that_does_not_come_back_is_left_behind() {
        let (end, ends) = mpsc::channel::<()>();
        let came = bounded(Duration::from_millis(1), || Ok(()), move || ends.recv().is_ok()).expect("no trouble");
        assert_eq!(came, None);
        end.send(()).expect("it still waits");
    }

    #[test]
    fn a_wait_for_a_call_ends_when_it_is_told_to() {
        let (end, ends) = mpsc::channel::<()>();
        let stop = || Err(Trouble::Stop(Error::new("a stop")));
        let came = bounded(LONG, stop, move || ends.recv().is_ok());
        assert!(matches!(came, Err(Trouble::Stop(error)) if error.to_string().contains("a stop")));
        end.send(()).expect("it still waits");
    }

    #[test]
    fn a_call_that_panics_is_an_error() {
        let came: Result<Option<()>, Trouble> = bounded(LONG, || Ok(()), || panic!("on purpose"));
        assert!(matches!(came, Err(Trouble::Stop(_))));
    }
}
