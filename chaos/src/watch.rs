//! Readers of the output: one that looks all the time while the rounds go on, and one that looks at the end.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::input::Places;
use crate::kafka::Topic;
use crate::records::{Item, Reading, Shape};
use crate::verify::directory::{Directory, Format};
use crate::verify::letters::Letters;
use crate::verify::ranges::{self, Contents, Range};
use crate::verify::row::Row;
use crate::verify::tally::{Place, Tally};
use crate::verify::{Kind, Violations};

/// The pause between two looks at a directory.
const LOOK: Duration = Duration::from_millis(4);
/// How long the live reader of a topic may be behind the last one.
const BEHIND: Duration = Duration::from_secs(30);

/// Where something is written.
#[derive(Clone, Debug)]
pub(crate) enum Where {
    Topic(Topic),
    Dir(PathBuf),
}

/// What is looked at.
#[derive(Clone)]
pub(crate) struct Outputs {
    pub(crate) shape: Shape,
    pub(crate) records: Where,
    pub(crate) letters: Where,
    /// How an item stands in the input.
    pub(crate) text: fn(Item) -> String,
}

/// What one of the threads saw.
enum Seen {
    Records(Tally),
    Letters(Letters),
}

type Thread = JoinHandle<Result<(Seen, Option<Directory>)>>;

/// The readers that look all the time.
pub(crate) struct Watch {
    outputs: Outputs,
    violations: Arc<Violations>,
    stop: Arc<AtomicBool>,
    /// How many different records came out.
    records: Arc<AtomicU64>,
    letters: Arc<AtomicU64>,
    threads: Vec<Thread>,
}

impl Watch {
    pub(crate) fn start(outputs: Outputs, violations: &Arc<Violations>) -> Result<Watch> {
        let mut watch = Watch {
            outputs,
            violations: Arc::clone(violations),
            stop: Arc::default(),
            records: Arc::default(),
            letters: Arc::default(),
            threads: Vec::new(),
        };
        let shape = watch.outputs.shape;
        // Files of different splits are seen in any order.
        let ordered = matches!(watch.outputs.records, Where::Topic(_));
        let records = Seen::Records(Tally::new(shape, "live reader", ordered));
        let letters = Seen::Letters(Letters::new(shape, "live reader", watch.outputs.text));
        watch.spawn(watch.outputs.records.clone(), Format::Csv, records, Arc::clone(&watch.records))?;
        watch.spawn(watch.outputs.letters.clone(), Format::Ndjson, letters, Arc::clone(&watch.letters))?;
        Ok(watch)
    }

    fn spawn(&mut self, at: Where, format: Format, mut seen: Seen, count: Arc<AtomicU64>) -> Result<()> {
        let (stop, violations) = (Arc::clone(&self.stop), Arc::clone(&self.violations));
        let look = move || -> Result<(Seen, Option<Directory>)> {
            match at {
                Where::Topic(topic) => {
                    let name = topic.name.clone();
                    let followed = topic.follow(&stop, |message| {
                        let place = place(&name, message.partition, message.offset);
                        seen.message(&message, place, &violations);
                        count.store(seen.count(), Ordering::Release);
                    });
                    if let Err(error) = followed {
                        violations.add(Kind::Changed, format!("live reader: {error:#}"));
                    }
                    Ok((seen, None))
                }
                Where::Dir(path) => {
                    let mut directory = Directory::new(&path, format);
                    loop {
                        // Once more after the stop: nothing that came before it is missed.
                        let last = stop.load(Ordering::Acquire);
                        directory.look(&violations, |range, text| {
                            seen.file(range, text, &violations);
                            count.store(seen.count(), Ordering::Release);
                        })?;
                        if last {
                            return Ok((seen, Some(directory)));
                        }
                        std::thread::sleep(LOOK);
                    }
                }
            }
        };
        let thread = std::thread::Builder::new().name("reader".into()).spawn(look).context("a thread")?;
        self.threads.push(thread);
        Ok(())
    }

    /// How many different records came out so far.
    pub(crate) fn records(&self) -> u64 {
        self.records.load(Ordering::Acquire)
    }

    /// Looks at everything once more, now that nobody writes; `places` is where the input has it.
    pub(crate) fn complete(&mut self, places: &Places) -> Result<()> {
        let violations = Arc::clone(&self.violations);
        let last = self.last_reader(places)?;
        let until = Instant::now() + BEHIND;
        let (records, letters) = (last.0.count(), last.1.count());
        while Instant::now() < until && (self.records() < records || self.letters.load(Ordering::Acquire) < letters) {
            std::thread::sleep(LOOK);
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
                Seen::Records(live) => {
                    live.complete(&violations);
                    if matches!(self.outputs.records, Where::Topic(_)) {
                        last.0.agrees_with(&live, &violations);
                    }
                }
                Seen::Letters(live) => live.complete(&violations),
            }
        }
        Ok(())
    }

    fn last_reader(&self, places: &Places) -> Result<(Tally, Letters)> {
        let (shape, violations) = (self.outputs.shape, &*self.violations);
        let mut records = Seen::Records(Tally::new(shape, "last reader", true));
        let mut letters = Seen::Letters(Letters::new(shape, "last reader", self.outputs.text));
        for (at, format, seen) in
            [(&self.outputs.records, Format::Csv, &mut records), (&self.outputs.letters, Format::Ndjson, &mut letters)]
        {
            match at {
                Where::Topic(topic) => {
                    topic.read(|message| {
                        let place = place(&topic.name, message.partition, message.offset);
                        seen.message(&message, place, violations);
                    })?;
                }
                Where::Dir(path) => {
                    let mut contents = Contents::new();
                    for (range, text) in Directory::new(path, format).read()? {
                        let rows = seen.file(&range, &text, violations);
                        contents.insert(range, rows);
                    }
                    if format == Format::Csv {
                        ranges::check(shape, places, &contents, violations);
                    }
                }
            }
        }
        match (records, letters) {
            (Seen::Records(records), Seen::Letters(letters)) => {
                records.complete(violations);
                letters.complete(violations);
                Ok((records, letters))
            }
            _ => bail!("the readers are mixed up"),
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        for thread in self.threads.drain(..) {
            // What it saw does not matter any more.
            let _ = thread.join();
        }
    }
}

fn place(topic: &str, partition: u32, offset: u64) -> Place {
    Place { of: format!("{topic}/{partition}").into(), at: offset }
}

impl Seen {
    fn count(&self) -> u64 {
        match self {
            Seen::Records(tally) => tally.count(),
            Seen::Letters(letters) => letters.count(),
        }
    }

    fn message(&mut self, message: &crate::kafka::Message<'_>, place: Place, violations: &Violations) {
        match self {
            Seen::Records(tally) => match Row::of_message(message.key, message.value) {
                Some(row) => tally.take(&row, &place, violations),
                None => violations.add(Kind::Unknown, format!("no record at {place}: {}", message.text())),
            },
            Seen::Letters(letters) => letters.take(&message.text(), place, violations),
        }
    }

    /// Takes a file in; returns what its rows are, where they are records.
    fn file(&mut self, range: &Range, text: &str, violations: &Violations) -> Vec<(Reading, Option<(u32, u64)>)> {
        // Lines count from 1.
        let place = |line: u64| Place { of: Arc::clone(&range.name), at: line };
        match self {
            Seen::Records(tally) => {
                let mut rows = Vec::new();
                let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
                for (line, cells) in (2..).zip(reader.records()) {
                    match cells.ok().as_ref().and_then(Row::of_cells) {
                        Some(row) => {
                            tally.take(&row, &place(line), violations);
                            rows.push((row.reading, row.from));
                        }
                        None => violations.add(Kind::Unknown, format!("no record at {}", place(line))),
                    }
                }
                rows
            }
            Seen::Letters(letters) => {
                let lines = (1..).zip(text.lines());
                lines.for_each(|(line, text)| letters.take_line(text, range, place(line), violations));
                Vec::new()
            }
        }
    }
}
