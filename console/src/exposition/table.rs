//! All metrics, sorted by name: what `/metrics` serves, what `docs/metrics.md` says, and what dashboard and rules may ask for.

use aqpipe_engine::ErrorClass;
use aqpipe_engine::metrics::{CellProblem, ENGINE, FieldCells, Histogram, OTHER, Phase, SplitSnapshot};
use aqpipe_engine::record::{Flag, Provenance};

use super::facts::{Facts, PipelineFacts};
use super::metric::{Emit, Kind, Metric, Of, Value};

type Labels = &'static [&'static str];
type OfPipeline = fn(&PipelineFacts, &mut Emit<'_>);

const SECONDS: Option<&str> = Some("seconds");
const BYTES: Option<&str> = Some("bytes");

const fn counter(name: &'static str, labels: Labels, help: &'static str, of: OfPipeline) -> Metric {
    Metric { name, kind: Kind::Counter, unit: None, labels, help, of: Of::Pipeline(of) }
}

const fn gauge(name: &'static str, labels: Labels, help: &'static str, of: OfPipeline) -> Metric {
    Metric { name, kind: Kind::Gauge, unit: None, labels, help, of: Of::Pipeline(of) }
}

const fn histogram(name: &'static str, help: &'static str, of: OfPipeline) -> Metric {
    Metric { name, kind: Kind::Histogram, unit: None, labels: &[], help, of: Of::Pipeline(of) }
}

impl Metric {
    const fn of_process(self, of: fn(&Facts, &mut Emit<'_>)) -> Metric {
        Metric { of: Of::Process(of), ..self }
    }

    const fn in_unit(self, unit: Option<&'static str>) -> Metric {
        Metric { unit, ..self }
    }
}

fn no_pipeline(_: &PipelineFacts, _: &mut Emit<'_>) {}

fn count(emit: &mut Emit<'_>, count: u64) {
    emit(&[], Value::Count(count));
}

fn sizes(emit: &mut Emit<'_>, histogram: &Histogram) {
    emit(&[], Value::Sizes(histogram));
}

fn each_field(p: &PipelineFacts, mut each: impl FnMut(&FieldCells)) {
    p.snapshot.fields.iter().for_each(&mut each);
}

fn each_split(p: &PipelineFacts, emit: &mut Emit<'_>, of: impl Fn(&SplitSnapshot) -> Option<u64>) {
    for split in &p.snapshot.splits {
        if let Some(count) = of(split) {
            emit(&[&split.split], Value::Count(count));
        }
    }
}

/// All metrics.
pub const METRICS: &[Metric] = &[
    gauge(
        "aqpipe_alerts_firing",
        &["alert"],
        "Stations or fields for which an alert of `[monitor.alerts]` fires now, those included that no message names; 1 where it is about the \
         pipeline as a whole, 0 where it does not fire",
        |p, emit| p.alerts.iter().for_each(|(alert, firing)| emit(&[alert], Value::Count(*firing))),
    ),
    histogram(
        "aqpipe_batch_duration_seconds",
        "Batches by the time that transforms and writer took for each",
        |p, emit| sizes(emit, &p.snapshot.batch_seconds),
    )
    .in_unit(SECONDS),
    histogram("aqpipe_batch_records", "Batches by the records of each", |p, emit| sizes(emit, &p.snapshot.batch_rows)),
    Metric {
        name: "aqpipe_build_info",
        kind: Kind::Info,
        unit: None,
        labels: &["version"],
        help: "The version of aqpipe; always 1",
        of: Of::Process(|process, emit| emit(&[process.version], Value::Count(1))),
    },
    counter(
        "aqpipe_cell_flags_total",
        &["field", "flag"],
        "Measurement cells in committed records by their quality flag (good, not_checked, suspect, fail, missing)",
        |p, emit| {
            each_field(p, |cells| {
                for (flag, count) in Flag::ALL.iter().zip(cells.flags) {
                    emit(&[&cells.field, flag_name(*flag)], Value::Count(count));
                }
            });
        },
    ),
    counter(
        "aqpipe_cell_objections_total",
        &["field", "test", "flag"],
        "Measurement cells in committed records to which a test objected, by the flag that they ended with",
        |p, emit| {
            each_field(p, |cells| {
                for test in &cells.tests {
                    emit(&[&cells.field, &test.test, Flag::Suspect.name()], Value::Count(test.suspect));
                    emit(&[&cells.field, &test.test, Flag::Fail.name()], Value::Count(test.fail));
                }
            });
        },
    ),
    counter(
        "aqpipe_cells_total",
        &["field", "state", "method"],
        "Measurement cells in committed records, each once: observed, censored (known to lie beyond a limit of detection), filled (by \
         method), unreadable or missing. A fill is no observation",
        |p, emit| each_field(p, |cells| cell_states(cells, emit)),
    ),
    histogram(
        "aqpipe_checkpoint_duration_seconds",
        "Checkpoints by the time from the end of each to its commit",
        |p, emit| sizes(emit, &p.snapshot.checkpoint_seconds),
    )
    .in_unit(SECONDS),
    counter("aqpipe_checkpoints_total", &[], "Committed checkpoints", |p, emit| count(emit, p.snapshot.checkpoints)),
    gauge("aqpipe_checkpoints_waiting", &[], "Checkpoints that wait for their commit", |p, emit| {
        count(emit, p.snapshot.checkpoints_waiting);
    }),
    gauge("aqpipe_client_brokers_up", &["client"], "Brokers that a Kafka client is connected to", |p, emit| {
        p.snapshot.clients.iter().for_each(|one| emit(&[&one.client], Value::Count(one.brokers_up)));
    }),
    gauge(
        "aqpipe_client_fetched_messages",
        &["client"],
        "Messages that a Kafka client has fetched and that wait to be read",
        |p, emit| p.snapshot.clients.iter().for_each(|one| emit(&[&one.client], Value::Count(one.fetched_messages))),
    ),
    gauge("aqpipe_client_queued_bytes", &["client"], "Bytes that wait in a Kafka client to be sent", |p, emit| {
        p.snapshot.clients.iter().for_each(|one| emit(&[&one.client], Value::Count(one.queued_bytes)));
    })
    .in_unit(BYTES),
    gauge("aqpipe_client_queued_messages", &["client"], "Messages that wait in a Kafka client to be sent", |p, emit| {
        p.snapshot.clients.iter().for_each(|one| emit(&[&one.client], Value::Count(one.queued_messages)));
    }),
    counter("aqpipe_client_request_retries_total", &["client"], "Requests that a Kafka client sent again", |p, emit| {
        p.snapshot.clients.iter().for_each(|one| emit(&[&one.client], Value::Count(one.request_retries)));
    }),
    counter(
        "aqpipe_client_request_timeouts_total",
        &["client"],
        "Requests of a Kafka client that ran into a timeout",
        |p, emit| p.snapshot.clients.iter().for_each(|one| emit(&[&one.client], Value::Count(one.request_timeouts))),
    ),
    gauge(
        "aqpipe_client_round_trip_seconds",
        &["client"],
        "Mean round trip of a Kafka client to its brokers over its last interval",
        |p, emit| {
            for one in &p.snapshot.clients {
                if let Some(seconds) = one.round_trip_seconds {
                    emit(&[&one.client], Value::Quantity(seconds));
                }
            }
        },
    )
    .in_unit(SECONDS),
    histogram("aqpipe_commit_duration_seconds", "Commits by the time that each took", |p, emit| {
        sizes(emit, &p.snapshot.commit_seconds);
    })
    .in_unit(SECONDS),
    counter(
        "aqpipe_committed_records_total",
        &["outcome"],
        "Committed records by what became of them: read, written, dead_letter, filtered (left out by the configuration), made or merged \
         (by transforms)",
        |p, emit| {
            let counts = &p.snapshot.counts;
            for (outcome, count) in [
                ("read", counts.read),
                ("written", counts.written),
                ("dead_letter", counts.dead),
                ("filtered", counts.filtered),
                ("made", counts.made),
                ("merged", counts.merged),
            ] {
                emit(&[outcome], Value::Count(count));
            }
        },
    ),
    counter("aqpipe_connection_failures_total", &[], "Attempts to reach a broker that failed", |p, emit| {
        count(emit, p.snapshot.unreached);
    }),
    counter(
        "aqpipe_dead_letters_total",
        &["stage", "reason"],
        "Committed dead letters by the stage that gave them up and the reason without its data; `other` for those beyond 50 pairs",
        |p, emit| {
            for group in p.snapshot.dead_letters.groups() {
                emit(&[&group.stage, &group.class], Value::Count(group.count));
            }
            if p.snapshot.dead_letters.others() > 0 {
                emit(&[OTHER, OTHER], Value::Count(p.snapshot.dead_letters.others()));
            }
        },
    ),
    counter(
        "aqpipe_errors_total",
        &["stage", "class"],
        "Errors that ended the run, and those after which a stage tried again, by the stage (`engine` where it was none) and what kind of \
         thing failed (disk_full, permission, not_found, io, broker, configuration, dead_letters, panic, bug, other). Attempts to reach a \
         broker are not among them",
        |p, emit| {
            let errors = &p.snapshot.errors_by;
            errors.iter().for_each(|error| emit(&[&error.stage, error.class.name()], Value::Count(error.count)));
            // A counter that begins at 1 has no increase to a query: what may come is there from the start.
            let stages = p.snapshot.stages.iter().map(|(stage, _)| stage.as_str()).chain([ENGINE]);
            for (stage, class) in stages.flat_map(|stage| ErrorClass::ALL.map(|class| (stage, class))) {
                if !errors.iter().any(|error| error.stage == stage && error.class == class) {
                    emit(&[stage, class.name()], Value::Count(0));
                }
            }
        },
    ),
    counter(
        "aqpipe_event_clock_ahead_checkpoints_total",
        &[],
        "Checkpoints whose newest timestamp lay ahead of the clock when they were committed: a clock is wrong, and they have no event latency",
        |p, emit| count(emit, p.snapshot.checkpoints_ahead),
    ),
    histogram(
        "aqpipe_event_latency_seconds",
        "Checkpoints by the time from the newest timestamp among their records to their commit, without those whose timestamp lay ahead",
        |p, emit| sizes(emit, &p.snapshot.event_latency_seconds),
    )
    .in_unit(SECONDS),
    gauge("aqpipe_expected_records", &[], "Records that the source expects in all, where it knows", |p, emit| {
        if let Some(expected) = p.snapshot.expected {
            count(emit, expected);
        }
    }),
    counter(
        "aqpipe_files_written_total",
        &["output"],
        "Files that were made visible, by what they hold: records or dead_letters",
        |p, emit| {
            emit(&["records"], Value::Count(p.snapshot.files));
            emit(&["dead_letters"], Value::Count(p.snapshot.dead_letter_files));
        },
    ),
    gauge("aqpipe_held_records", &[], "Records that transforms held back at the last checkpoint", |p, emit| {
        count(emit, p.snapshot.held);
    }),
    counter(
        "aqpipe_ignored_marks_total",
        &[],
        "Records whose quality marks could not be read back and were ignored",
        |p, emit| count(emit, p.snapshot.marks_ignored),
    ),
    counter(
        "aqpipe_input_cell_problems_total",
        &["field", "problem"],
        "Cells that were read and had a problem, committed or not: unreadable, or with a publisher's code that `flags` does not list",
        |p, emit| {
            for (problem, field, cells) in &p.snapshot.cell_problems {
                let problem = match problem {
                    CellProblem::Unreadable => "unreadable",
                    CellProblem::UnlistedCode => "unlisted_code",
                };
                emit(&[field, problem], Value::Count(cells.cells));
            }
        },
    ),
    counter(
        "aqpipe_input_notes_total",
        &["note"],
        "What the input had that is no record and no error, such as messages without a value",
        |p, emit| p.snapshot.notes.iter().for_each(|(note, count)| emit(&[note], Value::Count(*count))),
    ),
    gauge(
        "aqpipe_lag_committed_records",
        &[],
        "Records that wait in the source behind the last commit, where it knows; what was read and is not committed is among them",
        |p, emit| {
            if let Some(lag) = p.snapshot.lag_committed {
                count(emit, lag);
            }
        },
    ),
    gauge("aqpipe_lag_records", &[], "Records that wait in the source behind what was read, where it knows", |p, emit| {
        if let Some(lag) = p.snapshot.lag {
            count(emit, lag);
        }
    }),
    gauge("aqpipe_last_commit_timestamp_seconds", &[], "When the last commit was, as seconds since 1970", |p, emit| {
        if let Some(since) = p.snapshot.since_commit {
            emit(&[], Value::Quantity(to_millis(p.now - since.as_secs_f64())));
        }
    })
    .in_unit(SECONDS),
    gauge(
        "aqpipe_newest_reading_timestamp_seconds",
        &[],
        "The newest time of a reading of any station, as seconds since 1970",
        |p, emit| {
            if let Some(micros) = p.snapshot.stations.newest_micros {
                emit(&[], Value::Quantity(micros as f64 / 1e6));
            }
        },
    )
    .in_unit(SECONDS),
    counter(
        "aqpipe_notifications_total",
        &["hook", "outcome"],
        "Notifications of alerts by hook (its `name`, or its place among `[[monitor.notify]]`) and by what became of them: delivered, failed \
         (after all attempts) or dropped (too many waited, or the run was over)",
        |p, emit| {
            for hook in &p.snapshot.notifications {
                let outcomes = [("delivered", hook.delivered), ("failed", hook.failed), ("dropped", hook.dropped)];
                outcomes.iter().for_each(|(outcome, count)| emit(&[&hook.hook, outcome], Value::Count(*count)));
            }
        },
    ),
    counter(
        "aqpipe_out_of_order_records_total",
        &[],
        "Committed records whose time lies before that of the record before them with the same key",
        |p, emit| count(emit, p.snapshot.counts.out_of_order),
    ),
    counter(
        "aqpipe_passed_over_lines_total",
        &[],
        "Lines of the input that are no records, such as a header that comes again",
        |p, emit| count(emit, p.snapshot.passed_over),
    ),
    gauge("aqpipe_phase", &["phase"], "1 for the phase that the run is in, 0 for the others", |p, emit| {
        for phase in Phase::ALL {
            emit(&[phase.name()], Value::Count(u64::from(phase == p.snapshot.phase)));
        }
    }),
    histogram(
        "aqpipe_processing_latency_seconds",
        "Checkpoints by the time from the moment when their first record was read to their commit",
        |p, emit| sizes(emit, &p.snapshot.processing_latency_seconds),
    )
    .in_unit(SECONDS),
    histogram("aqpipe_quality_score", "Committed records by quality score, from 0 to 1", |p, emit| {
        sizes(emit, &p.snapshot.scores);
    }),
    counter("aqpipe_read_records_total", &[], "Records read, committed or not", |p, emit| count(emit, p.snapshot.read)),
    gauge(
        "aqpipe_ready",
        &[],
        "1 where the pipeline is connected, has its splits and has caught up as configured (`/ready`), otherwise 0",
        |p, emit| count(emit, p.ready.into()),
    ),
    counter("aqpipe_rebalances_total", &[], "How often a consumer group gave or took partitions", |p, emit| {
        count(emit, p.snapshot.rebalances);
    }),
    counter(
        "aqpipe_records_total",
        &["stage", "direction"],
        "Rows that went into a stage (in) and came out of it (out), committed or not",
        |p, emit| {
            for (stage, rows) in &p.snapshot.stages {
                emit(&[stage, "in"], Value::Count(rows.rows_in));
                emit(&[stage, "out"], Value::Count(rows.rows_out));
            }
        },
    ),
    counter(
        "aqpipe_repeated_records_total",
        &[],
        "Committed records whose time is that of the record before them with the same key",
        |p, emit| count(emit, p.snapshot.counts.repeated),
    ),
    counter("aqpipe_retries_total", &[], "Requests and commits that were repeated, also those that a rebalance refused", |p, emit| count(emit, p.snapshot.retries)),
    counter("aqpipe_split_committed_records_total", &["split"], "Records of a split read and committed", |p, emit| {
        each_split(p, emit, |split| Some(split.committed.read));
    }),
    gauge("aqpipe_split_held_records", &["split"], "Records of a split held back at its last checkpoint", |p, emit| {
        each_split(p, emit, |split| Some(split.held));
    }),
    gauge(
        "aqpipe_split_lag_committed_records",
        &["split"],
        "Records of a split that wait in the source behind the last commit, where it knows and this process reads it",
        |p, emit| each_split(p, emit, |split| split.lag_committed),
    ),
    gauge(
        "aqpipe_split_lag_records",
        &["split"],
        "Records of a split (a partition, a file) that wait in the source behind what was read, where it knows and this process reads it",
        |p, emit| each_split(p, emit, |split| split.lag),
    ),
    gauge("aqpipe_split_open", &["split"], "1 where this process reads the split now, otherwise 0", |p, emit| {
        each_split(p, emit, |split| Some(split.is_open.into()));
    }),
    counter("aqpipe_split_read_records_total", &["split"], "Records of a split read, committed or not", |p, emit| {
        each_split(p, emit, |split| Some(split.read));
    }),
    counter(
        "aqpipe_stage_busy_seconds_total",
        &["stage"],
        "Time that the calls of a stage took, in all splits together; of a source the processor time",
        |p, emit| {
            for (stage, rows) in &p.snapshot.stages {
                emit(&[stage], Value::Quantity(rows.time.as_secs_f64()));
            }
        },
    )
    .in_unit(SECONDS),
    counter(
        "aqpipe_stage_outcomes_total",
        &["stage", "outcome"],
        "Rows that a stage gave up (dead_letter), left out by configuration (filtered), made or merged, committed or not",
        |p, emit| {
            for (stage, rows) in &p.snapshot.stages {
                let outcomes =
                    [("dead_letter", rows.dead), ("filtered", rows.filtered), ("made", rows.made), ("merged", rows.merged)];
                outcomes.iter().for_each(|(outcome, count)| emit(&[stage, outcome], Value::Count(*count)));
            }
        },
    ),
    gauge(
        "aqpipe_station_newest_timestamp_seconds",
        &["station"],
        "The time of the newest reading of a station, as seconds since 1970, for the 1,000 stations whose newest reading is oldest",
        |p, emit| {
            for time in &p.snapshot.stations.oldest {
                emit(&[&time.station], Value::Quantity(time.newest_micros as f64 / 1e6));
            }
        },
    )
    .in_unit(SECONDS),
    gauge("aqpipe_stations", &[], "Stations (keys of records) that are known, 100,000 at most", |p, emit| {
        count(emit, p.snapshot.stations.known);
    }),
    counter("aqpipe_transferred_bytes_total", &["direction"], "Bytes read from the source (in), and bytes of output with those of dead letters (out): of files once they are visible, of messages \
         once they are handed to the client", |p, emit| {
        emit(&["in"], Value::Count(p.snapshot.bytes_in));
        emit(&["out"], Value::Count(p.snapshot.bytes_out));
    })
    .in_unit(BYTES),
    counter(
        "aqpipe_unlisted_station_readings_total",
        &[],
        "Readings of stations that found no room among the 100,000 that are known",
        |p, emit| count(emit, p.snapshot.stations.untold),
    ),
    gauge("aqpipe_up", &[], "1 where the pipeline is alive (`/health`), 0 where it failed or is stuck", |p, emit| {
        count(emit, p.alive.into());
    }),
    gauge("aqpipe_uptime_seconds", &[], "Time since the pipeline was started, until its end where it is over", |p, emit| {
        emit(&[], Value::Quantity(p.snapshot.uptime.as_secs_f64()));
    })
    .in_unit(SECONDS),
    gauge("aqpipe_waits", &[], "Parts of the pipeline that wait for something, such as a broker", |p, emit| {
        count(emit, p.snapshot.waits.len() as u64);
    }),
    gauge("process_resident_memory_bytes", &[], "Memory that the process occupies", no_pipeline)
        .in_unit(BYTES)
        .of_process(|process, emit| {
            if let Some(bytes) = process.memory_bytes {
                emit(&[], Value::Count(bytes));
            }
        }),
    gauge(
        "process_start_time_seconds",
        &[],
        "When the process began to serve, as seconds since 1970",
        no_pipeline,
    )
    .in_unit(SECONDS)
    .of_process(|process, emit| emit(&[], Value::Quantity(process.started))),
];

/// As in the status: a value that no check looked at.
const fn flag_name(flag: Flag) -> &'static str {
    match flag {
        Flag::Unknown => "not_checked",
        other => other.name(),
    }
}

fn cell_states(cells: &FieldCells, emit: &mut Emit<'_>) {
    let tally = &cells.tally;
    let of = |provenance: Provenance| tally.provenance[provenance as usize];
    let field = &*cells.field;
    emit(&[field, "observed", ""], Value::Count(tally.observed() + of(Provenance::Derived)));
    emit(&[field, "unreadable", ""], Value::Count(tally.unreadable));
    emit(&[field, "missing", ""], Value::Count(tally.missing));
    if of(Provenance::Censored) > 0 {
        emit(&[field, "censored", ""], Value::Count(of(Provenance::Censored)));
    }
    for method in Provenance::ALL.iter().filter(|one| one.is_fill() && of(**one) > 0) {
        emit(&[field, "filled", method.name()], Value::Count(of(*method)));
    }
}

/// The time of a commit is the same in each answer, although it is computed from how long ago it was.
fn to_millis(seconds: f64) -> f64 {
    (seconds * 1e3).round() / 1e3
}
