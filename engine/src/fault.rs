//! Points at which tests let a debug build die or a disk fail: each step of prepare, decide and finish has one. In a
//! release build there is nothing here.
//!
//! `AQPIPE_FAULT=decide.before=crash` ends the process, as abruptly as a kill, when it comes to the point;
//! `…=crash@3` when it comes there for the third time; `…=error` and `…=error@3` make the step fail with an error of
//! the disk, from then on.

use std::io;

use crate::error::{Error, Result};

/// The points that there are, in the order in which a commit comes to them, with those of a start behind.
pub const POINTS: &[&str] = &[
    "prepare.sink",
    "prepare.sync",
    "prepare.dead",
    "prepare.done",
    "note.write",
    "note.sync",
    "decide.before",
    "decide.begun",
    "decide.sent",
    "decide.offsets",
    "decide.commit",
    "decide.after",
    "finish.rename",
    "finish.renamed",
    "finish.sync",
    "finish.done",
    "done.before",
    "done.after",
    "begin.before",
    "begin.after",
    "settle.finished",
];

/// Comes to a point where no error of the disk is expected.
///
/// # Errors
/// Where a test asked for one.
pub fn step(name: &'static str) -> Result<()> {
    point(name).map_err(|error| Error::new(format!("the step {name} fails")).because(error))
}

/// Comes to a point.
///
/// # Errors
/// Where a test asked for one.
#[cfg(debug_assertions)]
pub fn point(name: &'static str) -> io::Result<()> {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static ASKED: OnceLock<Option<(String, bool, u64)>> = OnceLock::new();
    static TIMES: AtomicU64 = AtomicU64::new(0);

    debug_assert!(POINTS.contains(&name), "no point is called {name}");
    let asked = ASKED.get_or_init(|| {
        let text = std::env::var("AQPIPE_FAULT").ok()?;
        let (point, act) = text.split_once('=')?;
        let (act, nth) = act.split_once('@').unwrap_or((act, "1"));
        Some((point.to_owned(), act == "crash", nth.parse().ok()?))
    });
    let Some((point, crash, nth)) = asked else { return Ok(()) };
    if point != name {
        return Ok(());
    }
    let time = TIMES.fetch_add(1, Ordering::SeqCst) + 1;
    match crash {
        true if time == *nth => std::process::abort(),
        // The number of EIO on every system that has it.
        false if time >= *nth => Err(io::Error::from_raw_os_error(5)),
        _ => Ok(()),
    }
}

/// Comes to a point: nothing in a release build.
///
/// # Errors
/// Never.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn point(_: &'static str) -> io::Result<()> {
    Ok(())
}
