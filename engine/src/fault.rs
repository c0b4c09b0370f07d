//! Fault injection: named points at which a test kills a debug build or makes its disk fail. Each step of a commit has
//! one. A release build has none.
//!
//! `AQPIPE_FAULT=decide.before=crash` aborts the process at the point, and `…=crash@3` at the third time it gets there.
//! `…=error` and `…=error@3` make the step fail with a disk error, from then on.

use std::io;

use crate::error::{Error, Result};

/// All points, in the order of a commit; those of a start come last.
pub const POINTS: &[&str] = &[
    "prepare.sink",
    "prepare.sync",
    "prepare.dead",
    "prepare.done",
    "ledger.write",
    "ledger.sync",
    "decide.before",
    "decide.begun",
    "decide.sent",
    "decide.offsets",
    "decide.commit",
    "decide.after",
    "finish.rename",
    "finish.renamed",
    "finish.sync",
    "finish.described",
    "finish.done",
    "done.before",
    "done.after",
    "begin.before",
    "begin.after",
    "recover.rolled",
];

/// Passes a point of a step that has no disk error of its own.
///
/// # Errors
/// The error that a test asked for.
pub fn step(name: &'static str) -> Result<()> {
    point(name).map_err(|error| Error::new(format!("the step {name} fails")).because(error))
}

/// Passes a point.
///
/// # Errors
/// The error that a test asked for.
#[cfg(debug_assertions)]
pub fn point(name: &'static str) -> io::Result<()> {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static ASKED: OnceLock<Option<(String, bool, u64)>> = OnceLock::new();
    static TIMES: AtomicU64 = AtomicU64::new(0);

    debug_assert!(POINTS.contains(&name), "no point is called {name}");
    let asked = ASKED.get_or_init(|| {
        let text = std::env::var("AQPIPE_FAULT").ok()?;
        let (point, action) = text.split_once('=')?;
        let (action, nth) = action.split_once('@').unwrap_or((action, "1"));
        Some((point.to_owned(), action == "crash", nth.parse().ok()?))
    });
    let Some((point, crash, nth)) = asked else { return Ok(()) };
    if point != name {
        return Ok(());
    }
    let time = TIMES.fetch_add(1, Ordering::SeqCst) + 1;
    match crash {
        true if time == *nth => std::process::abort(),
        // EIO, on every system that has it.
        false if time >= *nth => Err(io::Error::from_raw_os_error(5)),
        _ => Ok(()),
    }
}

/// Passes a point: a release build does nothing here.
///
/// # Errors
/// Never.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn point(_: &'static str) -> io::Result<()> {
    Ok(())
}
