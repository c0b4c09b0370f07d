//! One path put to the test: what it needs, its rounds, its end, and the verdict.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::acts::{Path, Spelling};
use crate::crew::Crew;
use crate::input::{self, Places};
use crate::kafka::{Cluster, Feed, Topic, feed};
use crate::pipeline::{self, Names};
use crate::plan::Plan;
use crate::printer;
use crate::proxy::Proxy;
use crate::records::Shape;
use crate::rounds::Rounds;
use crate::verify::Violations;
use crate::watch::{Outputs, Watch, Where};

/// How long all the rest may take.
const REST: Duration = Duration::from_secs(300);

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

/// Runs the rounds of a plan in a directory, lets everything finish and looks at all of it.
pub(crate) fn run(setting: &Setting<'_>, path: Path, plan: &Plan, dir: &std::path::Path) -> Result<Verdict> {
    let began = Instant::now();
    let readings = setting.share * plan.rounds.len().max(1) as u64;
    let shape = Shape { sources: plan.sources, each: readings.div_ceil(u64::from(plan.sources)) };
    let violations = Arc::new(Violations::default());
    std::fs::create_dir_all(dir.join("logs")).context("no directory to work in")?;
    let names = names(setting, path);
    std::fs::write(dir.join(pipeline::FILE), pipeline::text(path, plan, &names))?;
    let fed = if path.reads_kafka() { Some(topic(setting, &names.input, plan.partitions)?) } else { None };
    let (file, places) = input::file(shape);
    let feed = match &fed {
        Some(topic) => Some(Feed::start(topic.clone(), shape, setting.share)?),
        None => {
            std::fs::write(dir.join(pipeline::INPUT), file)?;
            None
        }
    };
    let end = |to_kafka: bool, name: &str, at: &str| -> Result<Where> {
        Ok(if to_kafka { Where::Topic(topic(setting, name, plan.partitions)?) } else { Where::Dir(dir.join(at)) })
    };
    let outputs = Outputs {
        shape,
        records: end(path.writes_kafka(), &names.output, pipeline::OUT)?,
        letters: end(path.needs_kafka() && plan.letters_to_kafka, &names.dead, pipeline::DEAD)?,
        text: if path.reads_kafka() { input::message } else { input::line },
    };
    let watch = Watch::start(outputs, &violations)?;
    let crew = Crew {
        aqpipe: setting.aqpipe.clone(),
        dir: dir.to_owned(),
        violations: Arc::clone(&violations),
        endless: path.reads_kafka(),
        pace: (!path.reads_kafka()).then(|| pipeline::pace(shape.readings(), plan.work())),
        members: Vec::new(),
        started: 0,
        fenced: 0,
        spelling: Spelling::Plain,
        renamed: false,
        done: false,
    };
    let mut rounds =
        Rounds { setting, violations: Arc::clone(&violations), crew, watch, feed, longest: Duration::ZERO };
    let done = rounds.run(&plan.rounds)?;
    let under_way = rounds.watch.records();
    let whole = setting.keep_going || violations.is_empty();
    if whole {
        finish(&mut rounds, shape, places, fed.as_ref())?;
    }
    if let Some(topic) = fed.as_ref().filter(|_| !violations.is_empty()) {
        let found = violations.first().iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        feed::check(topic, shape).with_context(|| format!("found, and not to be trusted: {found}"))?;
    }
    let Rounds { crew, .. } = &rounds;
    let summary = format!(
        "{}: {}, {done} rounds, {under_way} of {} records under way{}, {} dead letters, {} processes, {} fenced, \
         nothing for {:.0} s at most, {:.0} s in all",
        path.name(),
        crew.delivery(),
        shape.readings(),
        if whole { "" } else { " and not to their end" },
        shape.bad().count(),
        crew.started,
        crew.fenced,
        rounds.longest.as_secs_f64(),
        began.elapsed().as_secs_f64()
    );
    Ok(Verdict { violations, summary, tails: crew.tails() })
}

fn names(setting: &Setting<'_>, path: Path) -> Names {
    let pipeline = format!("chaos-{}-{}", path.name(), setting.unique);
    let brokers = match (setting.proxy, setting.cluster) {
        (Some(proxy), _) => format!("127.0.0.1:{}", proxy.port()),
        (None, Some(cluster)) => cluster.bootstrap(),
        (None, None) => String::new(),
    };
    Names {
        brokers,
        input: format!("{pipeline}-in"),
        output: format!("{pipeline}-out"),
        dead: format!("{pipeline}-dead"),
        pipeline,
        impatient: setting.proxy.is_some(),
    }
}

/// A new topic, as the tool itself reaches it: past any proxy.
fn topic(setting: &Setting<'_>, name: &str, partitions: i32) -> Result<Topic> {
    let cluster = setting.cluster.context("this path needs Kafka")?;
    let topic = Topic { brokers: cluster.bootstrap(), name: name.to_owned(), partitions };
    topic.create(cluster.replication())?;
    Ok(topic)
}

/// Lets everything finish and looks at all of it.
fn finish(rounds: &mut Rounds<'_>, shape: Shape, places: Places, fed: Option<&Topic>) -> Result<()> {
    printer::say("       the rest, to its end");
    if let Some(feed) = &mut rounds.feed {
        feed.complete()?;
    }
    rounds.crew.complete(REST)?;
    let places = match fed {
        Some(topic) => feed::places(topic, shape)?,
        None => places,
    };
    if let Some(topic) = fed
        && rounds.setting.proxy.is_none()
    {
        make_anew(rounds, topic, shape)?;
    }
    rounds.watch.complete(&places)
}

/// Makes the input topic anew under its name, with as many messages of the same kind as before: what is read and committed
/// of the old one tells nothing of it, so that the pipeline has to refuse it, and nothing may come out.
fn make_anew(rounds: &mut Rounds<'_>, topic: &Topic, shape: Shape) -> Result<()> {
    printer::say("       the input topic is made anew");
    let cluster = rounds.setting.cluster.context("no brokers")?;
    topic.delete()?;
    topic.create(cluster.replication())?;
    let mut feed = Feed::start(topic.clone(), shape, rounds.setting.share)?;
    feed.complete()?;
    let says = format!("topic `{}` was deleted and made anew", topic.name);
    rounds.crew.refuse_another_input(&says, REST)
}
