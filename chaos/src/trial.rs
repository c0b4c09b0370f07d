//! A trial of one path: its setup, its rounds, its completion and the verdict.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::config::TrialConfig;
use crate::dataset::Dataset;
use crate::faults::{Path, PathSpelling};
use crate::input::{self, InputPositions};
use crate::kafka::{Feed, Topic, feed};
use crate::monitor::{Destination, OutputMonitor, Outputs};
use crate::pipeline::{self, PipelineNames};
use crate::plan::Plan;
use crate::printer;
use crate::rounds::Rounds;
use crate::verify::Violations;
use crate::verify::assignment::Moves;
use crate::workers::Workers;

/// How long the rest of the input may take.
const COMPLETION_TIMEOUT: Duration = Duration::from_secs(300);

/// The result of a trial.
pub(crate) struct Verdict {
    pub(crate) violations: Arc<Violations>,
    pub(crate) summary: String,
    /// The last lines of the logs of the last processes.
    pub(crate) log_tails: String,
}

/// Runs the rounds of a plan in a directory, completes the pipeline and verifies its output.
pub(crate) fn run(config: &TrialConfig<'_>, path: Path, plan: &Plan, dir: &std::path::Path) -> Result<Verdict> {
    let began = Instant::now();
    let readings = config.readings_per_round * plan.rounds.len().max(1) as u64;
    let dataset = Dataset { sources: plan.sources, per_source: readings.div_ceil(u64::from(plan.sources)) };
    let violations = Arc::new(Violations::default());
    std::fs::create_dir_all(dir.join("logs")).context("no directory to work in")?;
    let names = names(config, path);
    std::fs::write(dir.join(pipeline::PIPELINE_FILE), pipeline::text(path, plan, &names))?;
    let input_topic = if path.reads_kafka() { Some(topic(config, &names.input, plan.partitions)?) } else { None };
    let (file, positions) = input::file(dataset);
    let feed = match &input_topic {
        Some(topic) => Some(Feed::start(topic.clone(), dataset, config.readings_per_round)?),
        None => {
            std::fs::write(dir.join(pipeline::INPUT_FILE), file)?;
            None
        }
    };
    let destination = |to_kafka: bool, name: &str, at: &str| -> Result<Destination> {
        Ok(if to_kafka {
            Destination::Topic(topic(config, name, plan.partitions)?)
        } else {
            Destination::Dir(dir.join(at))
        })
    };
    let outputs = Outputs {
        dataset,
        records: destination(path.writes_kafka(), &names.output, pipeline::OUTPUT_DIR)?,
        dead_letters: destination(
            path.needs_kafka() && plan.dead_letters_to_kafka,
            &names.dead,
            pipeline::DEAD_LETTER_DIR,
        )?,
        text: if path.reads_kafka() { input::message } else { input::line },
    };
    let monitor = OutputMonitor::start(outputs, &violations)?;
    let workers = Workers {
        aqpipe: config.aqpipe.clone(),
        dir: dir.to_owned(),
        violations: Arc::clone(&violations),
        unbounded: path.reads_kafka(),
        pace: (!path.reads_kafka()).then(|| pipeline::pace(dataset.readings(), plan.duration())),
        running: Vec::new(),
        started: 0,
        fenced: 0,
        spelling: PathSpelling::Plain,
        renamed: false,
        done: false,
        moves: plan.cooperative.then(Moves::default),
    };
    let mut rounds =
        Rounds { config, violations: Arc::clone(&violations), workers, monitor, feed, longest_wait: Duration::ZERO };
    let done = rounds.run(&plan.rounds)?;
    let under_way = rounds.monitor.records();
    let to_the_end = config.keep_going || violations.is_empty();
    if to_the_end {
        finish(&mut rounds, dataset, positions, input_topic.as_ref())?;
    }
    if let Some(topic) = input_topic.as_ref().filter(|_| !violations.is_empty()) {
        let found = violations.first().iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        feed::check(topic, dataset).with_context(|| format!("found, and not to be trusted: {found}"))?;
    }
    let Rounds { workers, .. } = &rounds;
    let moves = workers.moves.map_or_else(String::new, |Moves { kept, moved }| {
        format!(" and cooperative assignment: {moved} partitions moved while {kept} went on")
    });
    let summary = format!(
        "{}: {}{moves}, {done} rounds, {under_way} of {} records under way{}, {} dead letters, {} processes, {} fenced, \
         nothing for {:.0} s at most, {:.0} s in all",
        path.name(),
        workers.delivery(),
        dataset.readings(),
        if to_the_end { "" } else { " and not to their end" },
        dataset.malformed().count(),
        workers.started,
        workers.fenced,
        rounds.longest_wait.as_secs_f64(),
        began.elapsed().as_secs_f64()
    );
    Ok(Verdict { violations, summary, log_tails: workers.log_tails() })
}

fn names(config: &TrialConfig<'_>, path: Path) -> PipelineNames {
    let pipeline = format!("chaos-{}-{}", path.name(), config.unique);
    let brokers = match (config.proxy, config.cluster) {
        (Some(proxy), _) => format!("127.0.0.1:{}", proxy.port()),
        (None, Some(cluster)) => cluster.bootstrap(),
        (None, None) => String::new(),
    };
    PipelineNames {
        brokers,
        input: format!("{pipeline}-in"),
        output: format!("{pipeline}-out"),
        dead: format!("{pipeline}-dead"),
        pipeline,
        short_timeouts: config.proxy.is_some(),
    }
}

/// Creates a topic. This program reaches brokers directly, past any proxy.
fn topic(config: &TrialConfig<'_>, name: &str, partitions: i32) -> Result<Topic> {
    let cluster = config.cluster.context("this path needs Kafka")?;
    let topic = Topic { brokers: cluster.bootstrap(), name: name.to_owned(), partitions };
    topic.create(cluster.replication())?;
    Ok(topic)
}

/// Completes the pipeline and verifies its output.
fn finish(
    rounds: &mut Rounds<'_>,
    dataset: Dataset,
    positions: InputPositions,
    input_topic: Option<&Topic>,
) -> Result<()> {
    printer::say("       the rest, to its end");
    if let Some(feed) = &mut rounds.feed {
        feed.complete()?;
    }
    rounds.workers.complete(COMPLETION_TIMEOUT)?;
    let positions = match input_topic {
        Some(topic) => feed::positions(topic, dataset)?,
        None => positions,
    };
    if let Some(topic) = input_topic
        && rounds.config.proxy.is_none()
    {
        recreate_input_topic(rounds, topic, dataset)?;
    }
    rounds.monitor.complete(&positions)
}

/// Deletes the input topic and creates it anew with as many messages of the same kind. Committed offsets of the old topic
/// say nothing about the new one, so the pipeline has to refuse it and write nothing.
fn recreate_input_topic(rounds: &mut Rounds<'_>, topic: &Topic, dataset: Dataset) -> Result<()> {
    printer::say("       the input topic is made anew");
    let cluster = rounds.config.cluster.context("no brokers")?;
    topic.delete()?;
    topic.create(cluster.replication())?;
    let mut feed = Feed::start(topic.clone(), dataset, rounds.config.readings_per_round)?;
    feed.complete()?;
    let says = format!("topic `{}` was deleted and made anew", topic.name);
    rounds.workers.expect_refused_input(&says, COMPLETION_TIMEOUT)
}
