//! Runs that are killed, at any moment, and started again until they are done: their output holds what that of a run
//! left alone holds.

mod files;
mod kafka;
#[cfg(debug_assertions)]
mod points;

use std::collections::BTreeMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::common::{Done, TestDir};

/// Random moments, and the seed to try them again with: `AQPIPE_TEST_SEED`.
struct Moments(StdRng);

impl Moments {
    fn new() -> Moments {
        let seed = match std::env::var("AQPIPE_TEST_SEED") {
            Ok(seed) => seed.parse().expect("AQPIPE_TEST_SEED is a number"),
            Err(_) => rand::random::<u64>(),
        };
        eprintln!("AQPIPE_TEST_SEED={seed}");
        Moments(StdRng::seed_from_u64(seed))
    }

    fn wait(&mut self, from: u64, to: u64) {
        std::thread::sleep(Duration::from_millis(self.0.random_range(from..to)));
    }
}

/// Kills runs between `from` and `to` milliseconds after their start, `kills` times at most, then lets one come to its
/// end. How many were killed, and the last.
fn killed_and_restarted(dir: &TestDir, args: &[&str], (from, to): (u64, u64), kills: usize) -> (usize, Done) {
    let mut moments = Moments::new();
    for killed in 0..kills {
        let running = dir.start(args);
        // A little later each time, so that a machine that does much else comes to its first commit too.
        moments.wait(from, to + 20 * killed as u64);
        running.kill();
        let done = running.wait();
        if done.code.is_some() {
            return (killed, done.expect(0, &[]));
        }
        assert!(!done.err.contains("ERROR") && !done.err.contains("panicked"), "{}", done.err);
    }
    (kills, dir.run(args).expect(0, &[]))
}

/// The visible files of a directory with their bytes.
fn bytes_of(dir: &TestDir, subdir: &str) -> BTreeMap<String, Vec<u8>> {
    let read = |name: String| {
        let bytes = std::fs::read(dir.path(subdir).join(&name)).expect("readable");
        (name, bytes)
    };
    dir.files(subdir).into_iter().map(read).collect()
}
