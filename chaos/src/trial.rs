//! One path put to the test: its rounds, its end, and the verdict.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;

use crate::crew::Crew;
use crate::input::{self, Places};
use crate::kafka::{Cluster, Feed, Topic};
use crate::pipeline::{self, Names, SESSION_SECS};
use crate::plan::{Act, Home, Moment, Path, Plan, Round};
use crate::printer;
use crate::proxy::Proxy;
use crate::records::{Reading, Shape};
use crate::verify::{Kind, Violations};
use crate::watch::{Outputs, Watch, Where};

/// How long nothing may come out: longer than a transaction that nobody ends stays open.
const WORK: Duration = Duration::from_secs(120);
/// How long all the rest may take.
const REST: Duration = Duration::from_secs(300);
const LOOK: Duration = Duration::from_millis(10);

/// What all trials have in common.
pub(crate) struct Setting<'a> {
    pub(crate) aqpipe: PathBuf,
    pub(crate) cluster: Option<&'a Cluster>,
    pub(crate) proxy: Option<&'a Proxy>,
    /// Readings for each round.
    pub(crate) share: u64,
    pub(crate) keep_going: bool,
    /// Part of the names that nobody else has.
    pub(crate) unique: String,
    pub(crate) interrupted: Arc<AtomicBool>,
}

/// What a trial came to.
pub(crate) struct Verdict {
    pub(crate) violations: Arc<Violations>,
    pub(crate) summary: String,
    /// The last lines of what the last processes said.
    pub(crate) tails: String,
}

/// A trial at work.
struct Trial<'a> {
    setting: &'a Setting<'a>,
    violations: Arc<Violations>,
    crew: Crew,
    watch: Watch,
    feed: Option<Feed>,
}

/// Runs the rounds of a plan in a directory, lets everything finish and looks at all of it.
pub(crate) fn run(setting: &Setting<'_>, path: Path, plan: &Plan, dir: &std::path::Path) -> Result<Verdict> {
    let began = Instant::now();
    let rounds = plan.rounds.len() as u64;
    let readings = setting.share * rounds.max(1);
    let shape = Shape { sources: plan.sources, each: readings.div_ceil(u64::from(plan.sources)) };
    let violations = Arc::new(Violations::default());
    std::fs::create_dir_all(dir.join("logs")).context("no directory to work in")?;
    let names = names(setting, path);
    std::fs::write(dir.join(pipeline::FILE), pipeline::text(path, plan, &names))?;
    let topic = |name: &str| direct(setting, name, plan.partitions);
    let (file, places) = input::file(shape);
    let mut feed = None;
    if path.from_kafka() {
        create(setting, &topic(&names.input)?)?;
        feed = Some(Feed::start(topic(&names.input)?, shape, setting.share)?);
    } else {
        std::fs::write(dir.join(pipeline::INPUT), file)?;
    }
    let outputs = Outputs {
        shape,
        records: if path.to_kafka() {
            Where::Topic(topic(&names.output)?)
        } else {
            Where::Dir(dir.join(pipeline::OUT))
        },
        letters: if path.needs_kafka() && plan.letters_to_kafka {
            Where::Topic(topic(&names.dead)?)
        } else {
            Where::Dir(dir.join(pipeline::DEAD))
        },
        text: if path.from_kafka() { input::message } else { input::line },
    };
    for output in [&outputs.records, &outputs.letters] {
        if let Where::Topic(topic) = output {
            create(setting, topic)?;
        }
    }
    let watch = Watch::start(outputs, &violations)?;
    // A second and a half of work for each round.
    let pace = (!path.from_kafka()).then(|| pipeline::pace(setting.share * 2 / 3));
    let crew = Crew {
        aqpipe: setting.aqpipe.clone(),
        dir: dir.to_owned(),
        violations: Arc::clone(&violations),
        endless: path.from_kafka(),
        pace,
        members: Vec::new(),
        started: 0,
        fenced: 0,
        far: false,
        done: false,
    };
    let mut trial = Trial { setting, violations: Arc::clone(&violations), crew, watch, feed };
    let done = trial.rounds(&plan.rounds)?;
    let under_way = trial.watch.records();
    let whole = setting.keep_going || violations.is_empty();
    if whole {
        let fed = path.from_kafka().then(|| topic(&names.input)).transpose()?;
        trial.finish(shape, places, fed.as_ref())?;
    }
    let summary = format!(
        "{}: {}, {done} rounds, {under_way} of {} records under way{}, {} dead letters, {} processes, {} fenced, {:.0} s",
        path.name(),
        trial.crew.delivery(),
        shape.readings(),
        if whole { "" } else { " and not to their end" },
        shape.bad().count(),
        trial.crew.started,
        trial.crew.fenced,
        began.elapsed().as_secs_f64()
    );
    Ok(Verdict { violations, summary, tails: trial.crew.tails() })
}

fn names(setting: &Setting<'_>, path: Path) -> Names {
    let name = |what: &str| format!("chaos-{}-{}-{what}", path.name(), setting.unique);
    let brokers = match (setting.proxy, setting.cluster) {
        (Some(proxy), _) => format!("127.0.0.1:{}", proxy.port()),
        (None, Some(cluster)) => cluster.bootstrap(),
        (None, None) => String::new(),
    };
    Names {
        brokers,
        pipeline: format!("chaos-{}-{}", path.name(), setting.unique),
        input: name("in"),
        output: name("out"),
        dead: name("dead"),
        impatient: setting.proxy.is_some(),
    }
}

/// A topic as the tool itself reaches it, past any proxy.
fn direct(setting: &Setting<'_>, name: &str, partitions: i32) -> Result<Topic> {
    let cluster = setting.cluster.context("this path needs Kafka")?;
    Ok(Topic { brokers: cluster.bootstrap(), name: name.to_owned(), partitions })
}

fn create(setting: &Setting<'_>, topic: &Topic) -> Result<()> {
    topic.create(setting.cluster.context("this path needs Kafka")?.replication())
}

impl Trial<'_> {
    /// Does what is planned; returns how many rounds there were.
    fn rounds(&mut self, rounds: &[Round]) -> Result<usize> {
        for (at, round) in rounds.iter().enumerate() {
            printer::say(&format!("  {:>3}  {}: {}", at + 1, round.moment, round.act));
            if let Some(feed) = &self.feed {
                feed.allow(self.setting.share);
            }
            self.crew.at_work()?;
            match round.moment {
                Moment::Soon(after) => self.pass(after)?,
                Moment::Working(after) => {
                    self.await_work()?;
                    self.pass(after)?;
                }
            }
            if self.crew.done {
                printer::say("       everything was carried before");
                return Ok(at);
            }
            self.act(round.act)?;
            if !self.setting.keep_going && !self.violations.is_empty() {
                return Ok(at + 1);
            }
        }
        Ok(rounds.len())
    }

    fn act(&mut self, act: Act) -> Result<()> {
        match act {
            Act::Leave(how) => self.crew.leave(0, how),
            Act::Freeze(other) => self.freeze(other),
            Act::Broker(node, away) => {
                let cluster = self.setting.cluster.context("no brokers to kill")?;
                cluster.kill(node)?;
                self.pass(away)?;
                cluster.restart()
            }
            Act::Second { home, stay, first_leaves, how } => {
                self.crew.join(home)?;
                self.pass(stay)?;
                self.crew.leave(usize::from(!first_leaves), how)
            }
            Act::Refused => self.crew.be_refused(),
            Act::Cut(times) => (0..times).try_for_each(|_| {
                self.proxy()?.cut();
                self.pass(Duration::from_millis(200))
            }),
            Act::Slow(most, long) => {
                self.proxy()?.slow(most);
                self.pass(long)?;
                self.proxy()?.fine();
                Ok(())
            }
            Act::Still(long) => {
                self.proxy()?.still();
                self.pass(long)?;
                self.proxy()?.fine();
                Ok(())
            }
            Act::Halve(long) => {
                self.proxy()?.halve();
                self.pass(long)?;
                self.proxy()?.cut();
                Ok(())
            }
        }
    }

    fn proxy(&self) -> Result<&Proxy> {
        self.setting.proxy.context("no proxy")
    }

    fn freeze(&mut self, other: Option<(Home, crate::plan::Leave)>) -> Result<()> {
        self.crew.signal(0, Signal::STOP)?;
        if let Some((home, _)) = other {
            self.crew.join(home)?;
        }
        self.pass(Duration::from_secs(2 * SESSION_SECS))?;
        self.crew.signal(0, Signal::CONT)?;
        if let Some((_, how)) = other {
            // Both are at work for a while, or find out that they cannot be.
            self.pass(Duration::from_secs(1))?;
            self.crew.leave(1, how)?;
        }
        Ok(())
    }

    /// Lets time pass, and looks after the processes meanwhile.
    fn pass(&mut self, long: Duration) -> Result<()> {
        let until = Instant::now() + long;
        loop {
            self.crew.look_after()?;
            if self.setting.interrupted.load(Ordering::Acquire) {
                bail!("interrupted");
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(LOOK));
        }
    }

    /// Waits until records come out.
    fn await_work(&mut self) -> Result<()> {
        let (from, until) = (self.watch.records(), Instant::now() + WORK);
        while self.watch.records() == from && !self.crew.done {
            if !self.setting.keep_going && !self.violations.is_empty() {
                return Ok(());
            }
            if Instant::now() > until {
                let tails: String = self.crew.members.iter().map(|member| member.process.tail()).collect();
                let long = WORK.as_secs();
                self.violations.add(Kind::Stalled, format!("no record came out for {long} s, after {from}:\n{tails}"));
                return Ok(());
            }
            self.pass(LOOK)?;
            self.crew.at_work()?;
        }
        Ok(())
    }

    /// Lets everything finish and looks at all of it.
    fn finish(&mut self, shape: Shape, places: Places, fed: Option<&Topic>) -> Result<()> {
        printer::say("       the rest, to its end");
        if let Some(feed) = &mut self.feed {
            feed.complete()?;
        }
        self.crew.complete(REST)?;
        let places = match fed {
            Some(topic) => places_in(topic, shape)?,
            None => places,
        };
        self.watch.complete(&places)
    }
}

/// Where the readings stand in the topic that was fed, which has to hold all of them once and in their order.
fn places_in(topic: &Topic, shape: Shape) -> Result<Places> {
    let (mut places, mut bad, mut strange) = (Places::default(), 0, Vec::new());
    let mut next = vec![0; shape.sources as usize];
    let ends = topic.read(|message| {
        let text = message.text();
        if input::marked(&text).is_some() {
            bad += 1;
            return;
        }
        let read: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let source = read["station"].as_str().and_then(|key| key.strip_prefix('s')?.parse().ok());
        let (Some(source), Some(seq)) = (source, read["seq"].as_u64()) else {
            strange.push(text);
            return;
        };
        if next.get(source as usize) != Some(&seq) {
            strange.push(text);
            return;
        }
        next[source as usize] += 1;
        places.readings.insert(Reading { source, seq }, (message.partition, message.offset));
    })?;
    if !strange.is_empty() || bad != shape.bad().count() || next.iter().any(|next| *next != shape.each) {
        bail!("the input is not what was fed, which is no mistake of aqpipe: {strange:?}, {bad}, {next:?}");
    }
    places.ends = ends;
    Ok(places)
}
