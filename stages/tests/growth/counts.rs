//! What a run uses, as counts, and whether ten times as much work uses ten times as much.

use std::path::Path;
use std::sync::Arc;

use aqpipe_engine::config::{Loader, Pipeline};
use aqpipe_engine::run::{Outcome, RunOptions, run};
use aqpipe_engine::stage::{Extensions, Registry};
use parking_lot::{Mutex, MutexGuard};

/// How much more than ten times as much ten times the work may use. A vector that doubles, a tree that gets deeper and a
/// file that is a block longer take a share of it; what grows with the square takes ten times as much.
const SLACK: f64 = 1.25;

/// The heap of a process is counted, so that one test runs at a time, the making of its input included.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Whether more work may have more in memory at once.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Peak {
    Flat,
    InProportion,
    /// It is that of something else.
    Any,
}

/// What was used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts {
    pub(crate) allocations: u64,
    /// The bytes of all allocations.
    bytes: u64,
    /// The most bytes that were allocated at once.
    peak: u64,
    /// The bytes that were written, where the system tells; in [`assert_in_proportion`] without those of the output.
    written: u64,
}

/// The bytes that this process wrote so far: Linux tells, and elsewhere it is always 0.
fn written_so_far() -> u64 {
    let text = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("wchar: "));
    line.and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// Keeps other tests from running.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock()
}

/// What a piece of work uses, in a test that is [`alone`].
pub(crate) fn counted<T, E: std::fmt::Display>(work: impl FnOnce() -> Result<T, E>) -> Counts {
    let profiler = dhat::Profiler::builder().testing().build();
    let before = written_so_far();
    let outcome = work().map(drop).map_err(|error| error.to_string());
    let written = written_so_far() - before;
    let heap = dhat::HeapStats::get();
    drop(profiler);
    assert_eq!(outcome, Ok(()));
    Counts { allocations: heap.total_blocks, bytes: heap.total_bytes, peak: heap.max_bytes as u64, written }
}

/// What of a pipeline is counted.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Work {
    /// Its run, to the end.
    Run,
    /// What `validate` does.
    Check,
}

fn load(dir: &Path, text: &str) -> Result<Pipeline, String> {
    let registry = Registry::collect().map_err(|error| error.to_string())?;
    let text = format!("name = \"growth\"\nstate_dir = \"{}\"\n{text}", dir.join("state").display());
    let none = |_: &str| None;
    Loader::new(&registry, &none).load_text("growth.toml", &text).map_err(|problems| problems.render(false))
}

fn run_to_the_end(pipeline: &Pipeline) -> Result<(), String> {
    let options = RunOptions { extensions: Arc::new(Extensions::default()), ..RunOptions::default() };
    let summary = run(pipeline, &options).map_err(|error| error.to_string())?;
    if summary.outcome == Outcome::Done { Ok(()) } else { Err("the run was not done".to_owned()) }
}

/// The bytes of the files in the output directory.
fn output_bytes(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir.join("out")) else { return 0 };
    entries.filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len())).sum()
}

/// Fails where work of the size `10 n` uses more than [`SLACK`] times ten times as much of anything as work of the size `n`,
/// above what work of the size 0 uses, or where commits note more than `noted` bytes for each of `n`. How much they note depends
/// on how many checkpoints one of them joins, but it is never more than if it were one.
pub(crate) fn assert_in_proportion(
    dimension: &str,
    (n, noted): (usize, usize),
    peak: Peak,
    work: Work,
    make: impl Fn(&Path, usize) -> String,
) {
    let _alone = alone();
    let used = |n: usize| {
        let dir = tempfile::tempdir().expect("a directory");
        let text = make(dir.path(), n);
        if work == Work::Check {
            return counted(|| load(dir.path(), &text));
        }
        let pipeline = load(dir.path(), &text).expect("a pipeline");
        let before = output_bytes(dir.path());
        let mut counts = counted(|| run_to_the_end(&pipeline));
        counts.written = counts.written.saturating_sub(output_bytes(dir.path()) - before);
        counts
    };
    // What is made once in a process is made by the first.
    used(n);
    let (base, few, many) = (used(0), used(n), used(10 * n));
    let peak_limit = match peak {
        Peak::Flat => 1.0,
        Peak::InProportion => 10.0,
        Peak::Any => f64::INFINITY,
    };
    // With what each may differ by for other reasons, such as a buffer of a thread that starts later.
    let of = |counts: &Counts| [counts.allocations, counts.bytes, counts.peak];
    let kinds =
        [("allocations", 10.0, 500), ("allocated bytes", 10.0, 200_000), ("bytes at once", peak_limit, 200_000)];
    let mut wrong = Vec::new();
    for (place, (kind, times, play)) in kinds.into_iter().enumerate() {
        let above = |counts: &Counts| of(counts)[place].saturating_sub(of(&base)[place]);
        let limit = above(&few) as f64 * SLACK * times + play as f64;
        if above(&many) as f64 > limit {
            let told = format!("{kind}: {} at {n}, {} at {}", above(&few), above(&many), 10 * n);
            wrong.push(format!("{told}, more than {limit:.0}"));
        }
    }
    let notes = base.written + 10 * (n * noted) as u64;
    if many.written > notes {
        wrong.push(format!("commits note {} bytes at {}, more than {notes}", many.written, 10 * n));
    }
    assert!(wrong.is_empty(), "{dimension}, beside {base:?} of no work:\n{}", wrong.join("\n"));
}
