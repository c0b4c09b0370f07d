//! Splits as the engine opens them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use aqpipe_engine::record::SplitId;
use aqpipe_engine::stage::SplitState;
use parking_lot::Mutex;

use super::engine::Engine;
use super::*;
use crate::source::StandIn;

/// What a run read of its splits, and their states at the end.
#[derive(Default)]
struct Ran {
    read: Vec<(SplitId, Read)>,
    ends: Vec<SplitState>,
}

/// Runs a source whose splits are read to their end as soon as they are opened.
fn run(options: Value, cx: &BuildContext, states: Vec<(SplitId, SplitState)>) -> Result<Ran> {
    let ran = Arc::new(Mutex::new(Ran::default()));
    let engine = Engine::opening({
        let ran = Arc::clone(&ran);
        move |id, mut reader| {
            let read = read_all(&mut *reader, 2)?;
            let (position, saved) = (reader.position(), reader.snapshot_state(reader.position())?);
            let mut ran = ran.lock();
            ran.ends.push(SplitState { position, reader: saved, ..SplitState::default() });
            ran.read.push((id, read));
            Ok(())
        }
    });
    built(options, cx)?.run(Arc::new(engine.resuming(states)))?;
    Ok(std::mem::take(&mut *ran.lock()))
}

fn two_files() -> Files {
    Files::new(&[("b.csv", b"timestamp,a\n2004-03-12,3\n"), ("a.csv", b"timestamp,a\n2004-03-10,1\n2004-03-11,2")])
}

#[test]
fn a_glob_is_one_split_in_the_order_of_names() {
    let files = two_files();
    let ran = run(files.options("*.csv", json!({})), &BuildContext::for_tests(), Vec::new()).expect("runs");
    let read = ran.read;
    assert_eq!(read.len(), 1);
    assert_eq!(files.plain(&read[0].0), "*.csv", "the split is called as the path is");
    assert_eq!(read[0].1.rows, ["12 +0 1078876800 a=1", "25 +0 1078963200 a=2", "49 +0 1079049600 a=3"]);
}

#[test]
fn in_parallel_each_file_is_a_split() {
    let files = two_files();
    let cx = BuildContext::for_tests();
    let ran = run(files.options("*.csv", json!({ "parallel": true })), &cx, Vec::new()).expect("runs");
    let read = ran.read;
    let splits: Vec<_> = read.iter().map(|(id, read)| (files.plain(id), read.values())).collect();
    assert_eq!(splits, [("a.csv".to_owned(), vec!["a=1", "a=2"]), ("b.csv".to_owned(), vec!["a=3"])]);
}

#[test]
fn a_run_stops_after_its_most_records_also_when_it_resumes_and_reading_for_a_fit_does_not() {
    let files = two_files();
    let options = files.options("*.csv", json!({ "max_records": 2 }));
    let cx = BuildContext::for_tests();
    let ran = run(options.clone(), &cx, Vec::new()).expect("runs");
    assert_eq!(ran.read[0].1.rows.len(), 2);
    let start = ran.ends[0].clone();
    assert_eq!(start.position.records, 2);
    let id = ran.read[0].0.clone();
    let more = with(options.clone(), json!({ "max_records": 3 }));
    let ran = run(more, &cx, vec![(id, start)]).expect("runs");
    assert_eq!(ran.read[0].1.values(), ["a=3"]);
    let mut reader = split(options, &cx).expect("opens");
    assert_eq!(read_all(&mut *reader, 10).expect("reads").rows.len(), 3);
}

#[test]
fn the_metrics_know_what_was_read_and_how_much_there_is() {
    let files = two_files();
    let cx = BuildContext::for_tests();
    let source = built(files.options("*.csv", json!({})), &cx).expect("builds");
    source.fit_readers().expect("opens").iter_mut().for_each(|(_, split)| {
        read_all(&mut **split, 10).expect("reads");
    });
    assert_eq!(cx.metrics().bytes_in.load(Ordering::Relaxed), 0, "reading for a fit is not the run");
    run(files.options("*.csv", json!({ "parallel": true })), &cx, Vec::new()).expect("runs");
    assert_eq!(cx.metrics().bytes_in.load(Ordering::Relaxed), 62);
    assert_eq!(cx.metrics().expected.load(Ordering::Relaxed), 3);
}

/// A run that generated readings are allowed in.
fn allowed() -> BuildContext {
    let cx = BuildContext::for_tests();
    cx.process_extensions().put(Arc::new(StandIn::Allowed));
    cx
}

#[test]
fn a_missing_file_is_an_error_that_names_the_command_unless_generated_readings_were_asked_for() {
    let files = Files::new(&[]);
    let options = || files.options("no.csv", json!({ "sample_if_missing": true }));
    let cx = BuildContext::for_tests();
    cx.process_extensions().put(Arc::new(StandIn::Refused { command: "aqpipe run p.toml --sample".to_owned() }));
    let error = built(options(), &cx).map(drop).expect_err("it is not there");
    assert!(error.message().contains("no.csv"), "{error}");
    assert!(error.help_text().is_some_and(|help| help.ends_with("`aqpipe run p.toml --sample`")), "{error:?}");
    let error = built(options(), &BuildContext::for_tests()).map(drop).expect_err("nobody asked");
    assert!(error.help_text().is_some_and(|help| help.contains("--sample")), "{error:?}");
    let error = built(files.options("no.csv", json!({})), &allowed()).map(drop).expect_err("not permitted");
    assert!(error.help_text().is_some_and(|help| help.contains("sample_if_missing")), "{error:?}");
}

#[test]
fn generated_readings_take_the_place_of_a_missing_file_under_another_name() {
    let files = Files::new(&[]);
    let more = json!({
        "sample_if_missing": true, "fields": ["T", "CO(GT)"], "timezone": "+01:00", "max_records": 5,
        "key": { "name": "station", "value": "uci" },
    });
    let ran = run(files.options("no.csv", more), &allowed(), Vec::new()).expect("runs");
    let read = ran.read;
    assert_eq!(&*read[0].0, "sample");
    assert_eq!(read[0].1.rows.len(), 5);
    assert!(read[0].1.rows[0].starts_with("0 +60 1078938000 [sample] T="), "{}", read[0].1.rows[0]);
}

#[test]
fn generated_readings_have_their_own_fields_and_no_others() {
    let files = Files::new(&[]);
    let missing = |more| {
        let options = files.options("no.csv", with(json!({ "sample_if_missing": true }), more));
        let error = built(options, &allowed()).map(drop).expect_err("fails");
        (error.to_string(), files.plain(error.help_text().unwrap_or_default()))
    };
    let (message, help) = missing(json!({ "fields": ["CO(GT)", "CO"] }));
    assert_eq!(message, "generated readings have no field `CO`");
    assert!(help.contains("there is no file no.csv"), "{help}");
    assert!(missing(json!({ "fields": ["RH"], "text_fields": ["T"] })).0.contains("no field `T`"));
    let all = built(files.options("no.csv", json!({ "sample_if_missing": true })), &allowed());
    let fields = all.and_then(|source| source.fields()).expect("builds").expect("known");
    assert_eq!(fields.list.len(), 13);
    assert_eq!(fields.key.as_deref(), Some("station"), "a source without a key has one then");
    let few = json!({ "sample_if_missing": true, "fields": ["T"], "max_records": 2 });
    let ran = run(files.options("no.csv", few), &allowed(), Vec::new()).expect("runs");
    let read = ran.read;
    assert!(read[0].1.rows.iter().all(|row| row.contains(" [sample] T=")), "{:?}", read[0].1.rows);
}
