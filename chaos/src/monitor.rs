//! Readers of the output: live readers during the rounds, and a last one at the end.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::dataset::{Dataset, Item, Reading};
use crate::input::InputPositions;
use crate::kafka::Topic;
use crate::verify::dead_letters::DeadLetterTracker;
use crate::verify::file_range::{self, FileRange, RowsByRange};
use crate::verify::output_dir::{Format, OutputDir};
use crate::verify::output_record::OutputRecord;
use crate::verify::tracker::{Location, RecordTracker};
use crate::verify::{ViolationKind, Violations};

/// The pause between two scans of a directory.
const SCAN_INTERVAL: Duration = Duration::from_millis(4);
/// How long a live reader may lag behind the last one.
const LIVE_READER_LAG_MAX: Duration = Duration::from_secs(30);

/// Where the pipeline writes.
#[derive(Clone, Debug)]
pub(crate) enum Destination {
    Topic(Topic),
    Dir(PathBuf),
}

/// The outputs that are read.
#[derive(Clone)]
pub(crate) struct Outputs {
    pub(crate) dataset: Dataset,
    pub(crate) records: Destination,
    pub(crate) dead_letters: Destination,
    /// The text of an item in the input.
    pub(crate) text: fn(Item) -> String,
}

/// What a reader has seen.
enum Tracker {
    Records(RecordTracker),
    DeadLetterTracker(DeadLetterTracker),
}

type ReaderHandle = JoinHandle<Result<(Tracker, Option<OutputDir>)>>;

/// The live readers.
pub(crate) struct OutputMonitor {
    outputs: Outputs,
    violations: Arc<Violations>,
    stop: Arc<AtomicBool>,
    /// How many distinct records came out.
    records: Arc<AtomicU64>,
    dead_letters: Arc<AtomicU64>,
    threads: Vec<ReaderHandle>,
}

impl OutputMonitor {
    pub(crate) fn start(outputs: Outputs, violations: &Arc<Violations>) -> Result<OutputMonitor> {
        let mut monitor = OutputMonitor {
            outputs,
            violations: Arc::clone(violations),
            stop: Arc::default(),
            records: Arc::default(),
            dead_letters: Arc::default(),
            threads: Vec::new(),
        };
        let dataset = monitor.outputs.dataset;
        // Files of different splits become visible in any order.
        let ordered = matches!(monitor.outputs.records, Destination::Topic(_));
        let records = Tracker::Records(RecordTracker::new(dataset, "live reader", ordered));
        let dead_letters =
            Tracker::DeadLetterTracker(DeadLetterTracker::new(dataset, "live reader", monitor.outputs.text));
        monitor.spawn(monitor.outputs.records.clone(), Format::Csv, records, Arc::clone(&monitor.records))?;
        monitor.spawn(
            monitor.outputs.dead_letters.clone(),
            Format::Ndjson,
            dead_letters,
            Arc::clone(&monitor.dead_letters),
        )?;
        Ok(monitor)
    }

    fn spawn(&mut self, at: Destination, format: Format, mut seen: Tracker, count: Arc<AtomicU64>) -> Result<()> {
        let (stop, violations) = (Arc::clone(&self.stop), Arc::clone(&self.violations));
        let scan = move || -> Result<(Tracker, Option<OutputDir>)> {
            match at {
                Destination::Topic(topic) => {
                    let name = topic.name.clone();
                    let followed = topic.follow(&stop, |message| {
                        let location = location(&name, message.partition, message.offset);
                        seen.message(&message, location, &violations);
                        count.store(seen.count(), Ordering::Release);
                    });
                    if let Err(error) = followed {
                        violations.add(ViolationKind::Changed, format!("live reader: {error:#}"));
                    }
                    Ok((seen, None))
                }
                Destination::Dir(path) => {
                    let mut directory = OutputDir::new(&path, format);
                    loop {
                        // One more scan after the stop, so that nothing written before it is missed.
                        let last = stop.load(Ordering::Acquire);
                        directory.scan(&violations, |range, text| {
                            seen.file(range, text, &violations);
                            count.store(seen.count(), Ordering::Release);
                        })?;
                        if last {
                            return Ok((seen, Some(directory)));
                        }
                        std::thread::sleep(SCAN_INTERVAL);
                    }
                }
            }
        };
        let thread = std::thread::Builder::new().name("reader".into()).spawn(scan).context("a thread")?;
        self.threads.push(thread);
        Ok(())
    }

    /// How many distinct records came out so far.
    pub(crate) fn records(&self) -> u64 {
        self.records.load(Ordering::Acquire)
    }

    /// Reads everything once more after the last process has ended, and compares it with the input and the live readers.
    pub(crate) fn complete(&mut self, positions: &InputPositions) -> Result<()> {
        let violations = Arc::clone(&self.violations);
        let last = self.last_reader(positions)?;
        let until = Instant::now() + LIVE_READER_LAG_MAX;
        let (records, dead_letters) = (last.0.count(), last.1.count());
        while Instant::now() < until
            && (self.records() < records || self.dead_letters.load(Ordering::Acquire) < dead_letters)
        {
            std::thread::sleep(SCAN_INTERVAL);
        }
        self.stop.store(true, Ordering::Release);
        for thread in std::mem::take(&mut self.threads) {
            let (seen, directory) = match thread.join() {
                Ok(seen) => seen?,
                Err(_) => bail!("a reader panicked"),
            };
            if let Some(mut directory) = directory {
                directory.complete(&violations)?;
            }
            match seen {
                Tracker::Records(live) => {
                    live.complete(&violations);
                    if matches!(self.outputs.records, Destination::Topic(_)) {
                        last.0.agrees_with(&live, &violations);
                    }
                }
                Tracker::DeadLetterTracker(live) => live.complete(&violations),
            }
        }
        Ok(())
    }

    fn last_reader(&self, positions: &InputPositions) -> Result<(RecordTracker, DeadLetterTracker)> {
        let (dataset, violations) = (self.outputs.dataset, &*self.violations);
        let mut records = Tracker::Records(RecordTracker::new(dataset, "last reader", true));
        let mut dead_letters =
            Tracker::DeadLetterTracker(DeadLetterTracker::new(dataset, "last reader", self.outputs.text));
        for (at, format, seen) in [
            (&self.outputs.records, Format::Csv, &mut records),
            (&self.outputs.dead_letters, Format::Ndjson, &mut dead_letters),
        ] {
            match at {
                Destination::Topic(topic) => {
                    topic.read(|message| {
                        let location = location(&topic.name, message.partition, message.offset);
                        seen.message(&message, location, violations);
                    })?;
                }
                Destination::Dir(path) => {
                    let mut rows_by_range = RowsByRange::new();
                    for (range, text) in OutputDir::new(path, format).read()? {
                        let rows = seen.file(&range, &text, violations);
                        rows_by_range.insert(range, rows);
                    }
                    if format == Format::Csv {
                        file_range::check(dataset, positions, &rows_by_range, violations);
                    }
                }
            }
        }
        match (records, dead_letters) {
            (Tracker::Records(records), Tracker::DeadLetterTracker(dead_letters)) => {
                records.complete(violations);
                dead_letters.complete(violations);
                Ok((records, dead_letters))
            }
            _ => bail!("the readers are mixed up"),
        }
    }
}

impl Drop for OutputMonitor {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        for thread in self.threads.drain(..) {
            // Its result is not needed any more.
            let _ = thread.join();
        }
    }
}

fn location(topic: &str, partition: u32, offset: u64) -> Location {
    Location { container: format!("{topic}/{partition}").into(), at: offset }
}

impl Tracker {
    fn count(&self) -> u64 {
        match self {
            Tracker::Records(tracker) => tracker.count(),
            Tracker::DeadLetterTracker(dead_letters) => dead_letters.count(),
        }
    }

    fn message(&mut self, message: &crate::kafka::Message<'_>, location: Location, violations: &Violations) {
        match self {
            Tracker::Records(tracker) => match OutputRecord::from_message(message.key, message.value) {
                Some(record) => tracker.take(&record, &location, violations),
                None => violations.add(ViolationKind::Unknown, format!("no record at {location}: {}", message.text())),
            },
            Tracker::DeadLetterTracker(dead_letters) => dead_letters.take(&message.text(), location, violations),
        }
    }

    /// Takes the records of a file; returns them with their source positions.
    fn file(&mut self, range: &FileRange, text: &str, violations: &Violations) -> Vec<(Reading, Option<(u32, u64)>)> {
        // Lines count from 1.
        let location = |line: u64| Location { container: Arc::clone(&range.name), at: line };
        match self {
            Tracker::Records(tracker) => {
                let mut rows = Vec::new();
                let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
                for (line, cells) in (2..).zip(reader.records()) {
                    match cells.ok().as_ref().and_then(OutputRecord::from_csv) {
                        Some(record) => {
                            tracker.take(&record, &location(line), violations);
                            rows.push((record.reading, record.from));
                        }
                        None => violations.add(ViolationKind::Unknown, format!("no record at {}", location(line))),
                    }
                }
                rows
            }
            Tracker::DeadLetterTracker(dead_letters) => {
                let lines = (1..).zip(text.lines());
                lines.for_each(|(line, text)| dead_letters.take_line(text, range, location(line), violations));
                Vec::new()
            }
        }
    }
}
