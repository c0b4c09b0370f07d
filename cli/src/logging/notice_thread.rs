//! The thread that logs what logs say of themselves: none can be written to while it writes a line.

use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::notices::{Notice, Notices};
use super::repeats::Repeats;

/// Notices that wait: each file has one for each thing that can go wrong with it. What is beyond is dropped.
const WAITING_MAX: usize = 100;
/// How often it is looked whether the minute of a repeated message is over.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The thread that logs notices, until it is dropped.
pub(super) struct NoticeThread {
    notices: Notices,
    thread: Option<JoinHandle<()>>,
}

impl NoticeThread {
    /// Starts it.
    pub(super) fn start(repeats: Repeats) -> std::io::Result<NoticeThread> {
        let (sender, notices) = sync_channel(WAITING_MAX);
        let thread = std::thread::Builder::new().name("log".into()).spawn(move || log_all(&notices, &repeats))?;
        Ok(NoticeThread { notices: Notices(sender), thread: Some(thread) })
    }

    pub(super) fn notices(&self) -> Notices {
        self.notices.clone()
    }
}

fn log_all(notices: &Receiver<Option<Notice>>, repeats: &Repeats) {
    loop {
        let ends = match notices.recv_timeout(LOOK_INTERVAL) {
            Ok(Some(notice)) => {
                notice.log();
                false
            }
            Err(RecvTimeoutError::Timeout) => false,
            Ok(None) | Err(RecvTimeoutError::Disconnected) => true,
        };
        repeats.told(Instant::now(), ends).iter().for_each(Notice::log);
        if ends {
            return;
        }
    }
}

impl Drop for NoticeThread {
    fn drop(&mut self) {
        // The thread takes what waits, so that there is room soon.
        let _ = self.notices.0.send(None);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
