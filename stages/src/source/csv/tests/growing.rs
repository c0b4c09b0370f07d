//! Files that grow, from one run to the next and during a run.

use std::io::Write as _;
use std::sync::Arc;

use aqpipe_engine::record::SplitId;
use aqpipe_engine::stage::{RecordedSplit, SplitState};
use parking_lot::Mutex;

use super::engine::Engine;
use super::*;

pub(super) type Opened = (SplitId, Box<dyn SplitReader>);

/// The split of a run after that state.
pub(super) fn opened(files: &Files, more: Value, state: Option<&(SplitId, SplitState)>) -> Result<Opened> {
    let taken = Arc::new(Mutex::new(Vec::new()));
    let engine = Engine::opening({
        let taken = Arc::clone(&taken);
        move |id, reader| {
            taken.lock().push((id, reader));
            Ok(())
        }
    });
    let options = files.options("*.csv", with(json!({ "fields": ["a"] }), more));
    let source = built(options, &BuildContext::for_tests())?;
    source.run(Arc::new(engine.resuming(state.into_iter().cloned().collect())))?;
    let mut taken = std::mem::take(&mut *taken.lock());
    assert_eq!(taken.len(), 1);
    Ok(taken.remove(0))
}

pub(super) fn state((id, reader): &Opened) -> (SplitId, SplitState) {
    let position = reader.position();
    let saved = reader.snapshot_state(position).expect("saves");
    (id.clone(), SplitState { position, reader: saved, ..SplitState::default() })
}

/// Runs one after the other, each of which carries what is new.
struct Runs {
    files: Files,
    more: Value,
    last: Option<(SplitId, SplitState)>,
}

impl Runs {
    fn over(contents: &[(&str, &[u8])]) -> Runs {
        Runs { files: Files::new(contents), more: json!({ "rerun": "new" }), last: None }
    }

    fn append(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let file = std::fs::File::options().append(true).create(true).open(self.files.path(name));
        file.and_then(|mut file| file.write_all(bytes.as_ref())).expect("writes");
    }

    fn run(&mut self) -> Result<Vec<String>> {
        let mut split = opened(&self.files, self.more.clone(), self.last.as_ref())?;
        let read = read_all(&mut *split.1, 2)?;
        assert_eq!(read.reasons(), [""; 0]);
        self.last = Some(state(&split));
        Ok(read.values().into_iter().map(str::to_owned).collect())
    }

    /// What the next run would carry.
    fn new_input(&self) -> Option<String> {
        let options = self.files.options("*.csv", with(json!({ "fields": ["a"] }), self.more.clone()));
        let completed: Vec<RecordedSplit> = self
            .last
            .iter()
            .map(|(id, start)| RecordedSplit { id: id.clone(), start: start.clone(), held: 0, ended: true })
            .collect();
        let source = built(options, &BuildContext::for_tests()).expect("builds");
        source.input_changes(&completed).expect("compares").map(|changes| self.files.plain(&changes))
    }
}

pub(super) fn packed(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).expect("packs");
    encoder.finish().expect("packs")
}

const HEAD: &str = "timestamp,a\n";

#[test]
fn each_run_carries_what_is_new_and_a_line_without_its_end_waits() {
    let mut runs = Runs::over(&[("b.csv", b"timestamp,a\n2004-03-10,1\n2004-03-11,2")]);
    assert_eq!(runs.run().expect("runs"), ["a=1"]);
    assert_eq!(runs.new_input().as_deref(), Some("b.csv has 12 bytes more"));
    assert_eq!(runs.run().expect("runs"), [""; 0], "it still waits");
    runs.append("b.csv", "5\n2004-03-12,3\n");
    runs.append("a.csv", "timestamp,a\n2004-03-13,4\n");
    runs.append("c.csv", "a,timestamp\n5,2004-03-14\n");
    assert_eq!(runs.new_input().as_deref(), Some("a.csv is new, and 2 more"));
    assert_eq!(runs.run().expect("runs"), ["a=4", "a=25", "a=3", "a=5"], "by the order of names");
    assert_eq!(runs.new_input(), None);
    for (name, text) in [("c.csv", "6,2004-03-15\n"), ("a.csv", "2004-03-16,7\n")] {
        runs.append(name, text);
        assert_eq!(runs.run().expect("runs").len(), 1, "{name}");
    }
    assert_eq!(runs.run().expect("runs"), [""; 0]);
}

#[test]
fn a_header_that_is_not_whole_yet_waits_too() {
    let mut runs = Runs::over(&[("a.csv", b"times"), ("b.csv", b"")]);
    assert_eq!(runs.run().expect("runs"), [""; 0]);
    runs.append("a.csv", "tamp,a\n2004-03-10,1\n");
    assert_eq!(runs.run().expect("runs"), ["a=1"]);
    runs.append("b.csv", "timestamp,a\n2004-03-11,2\n");
    assert_eq!(runs.run().expect("runs"), ["a=2"]);
    let undeclared = json!({ "rerun": "new", "fields": [] });
    let empty = opened(&Files::one(b"times"), undeclared, None).map(drop).expect_err("its columns are not known");
    assert!(empty.help_text().is_some_and(|help| help.contains("`fields`")), "{empty}");
}

#[test]
fn a_file_that_was_rotated_is_known_under_its_new_name_and_the_new_one_is_read() {
    let mut runs = Runs::over(&[("log.csv", b"timestamp,a\n2004-03-10,1\n2004-03-11,")]);
    assert_eq!(runs.run().expect("runs"), ["a=1"]);
    runs.append("log.csv", "2\n");
    std::fs::rename(runs.files.path("log.csv"), runs.files.path("log-1.csv")).expect("renames");
    runs.append("log.csv", format!("{HEAD}2004-03-12,3\n"));
    assert_eq!(runs.run().expect("runs"), ["a=2", "a=3"]);
    std::fs::rename(runs.files.path("log-1.csv"), runs.files.path("log-1.old")).expect("renames");
    std::fs::write(runs.files.path("log-1.csv"), packed(&format!("{HEAD}2004-03-10,1\n2004-03-11,2\n")))
        .expect("writes");
    assert_eq!(runs.run().expect("runs"), [""; 0], "packed, it is the same text");
    runs.append("log.csv", "2004-03-13,4\n");
    assert_eq!(runs.run().expect("runs"), ["a=4"]);
}

#[test]
fn a_file_that_was_emptied_is_read_again_and_one_whose_beginning_changed_is_refused() {
    let mut runs = Runs::over(&[("a.csv", b"timestamp,a\n2004-03-10,1\n2004-03-11,2\n")]);
    assert_eq!(runs.run().expect("runs"), ["a=1", "a=2"]);
    std::fs::write(runs.files.path("a.csv"), format!("{HEAD}2004-03-12,3\n")).expect("writes");
    assert_eq!(runs.run().expect("runs"), ["a=3"]);
    std::fs::write(runs.files.path("a.csv"), format!("{HEAD}2004-03-12,4\n2004-03-13,5\n")).expect("writes");
    let error = runs.run().expect_err("it was changed");
    assert!(error.to_string().contains("the beginning of"), "{error}");
    assert!(error.help_text().is_some_and(|help| help.contains("put a copy in its place")), "{error:?}");
    std::fs::copy(runs.files.path("a.csv"), runs.files.path("copy")).expect("copies");
    std::fs::rename(runs.files.path("copy"), runs.files.path("a.csv")).expect("renames");
    assert_eq!(runs.run().expect("runs"), ["a=4", "a=5"]);
    std::fs::remove_file(runs.files.path("a.csv")).expect("removes");
    runs.append("b.csv", format!("{HEAD}2004-03-14,6\n"));
    assert_eq!(runs.run().expect("runs"), ["a=6"], "a file that is gone and was read is missed by nobody");
}

#[test]
fn archives_that_are_new_are_carried_once() {
    let text = |values: &[u32]| {
        let rows: String = values.iter().map(|value| format!("2004-03-10,{value}\n")).collect();
        packed(&format!("{HEAD}{rows}"))
    };
    let mut runs = Runs::over(&[("1.csv", &text(&[1, 2]))]);
    assert_eq!(runs.run().expect("runs"), ["a=1", "a=2"]);
    assert_eq!(runs.new_input(), None);
    runs.append("2.csv", text(&[3]));
    assert_eq!(runs.run().expect("runs"), ["a=3"]);
    runs.append("1.csv", packed("2004-03-10,4\n"));
    assert_eq!(runs.new_input().as_deref(), Some("1.csv has grown"));
    assert_eq!(runs.run().expect("runs"), ["a=4"], "a joined member");
    runs.append("3.csv", &text(&[5])[..20]);
    assert!(runs.run().is_err(), "it is still being written");
    std::fs::write(runs.files.path("3.csv"), text(&[5])).expect("writes");
    assert_eq!(runs.run().expect("runs"), ["a=5"]);
}

#[test]
fn utf16_grows_as_other_text_does() {
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let text = utf16("\u{feff}timestamp,a\n2004-03-10,1\n2004-03-11,2");
    let mut runs = Runs::over(&[("a.csv", &text[..text.len() - 1])]);
    assert_eq!(runs.run().expect("runs"), ["a=1"]);
    runs.append("a.csv", &text[text.len() - 1..]);
    assert_eq!(runs.run().expect("runs"), [""; 0]);
    runs.append("a.csv", utf16("5\n2004-03-12,3\n"));
    assert_eq!(runs.run().expect("runs"), ["a=25", "a=3"]);
}

#[test]
fn the_rest_of_a_line_that_was_carried_as_it_stood_is_no_record() {
    for (more, dead) in [("", 0), ("5\n", 1), ("\n", 0), ("5", 1)] {
        let mut runs = Runs::over(&[("a.csv", b"timestamp,a\n2004-03-10,1\n2004-03-11,2")]);
        runs.more = json!({});
        assert_eq!(runs.run().expect("runs"), ["a=1", "a=2"], "as it stands");
        runs.append("a.csv", more);
        runs.append("b.csv", "timestamp,a\n2004-03-12,3\n");
        let mut split = opened(&runs.files, json!({ "rerun": "new" }), runs.last.as_ref()).expect("opens");
        let read = read_all(&mut *split.1, 10).expect("reads");
        assert_eq!((read.values(), read.dead.len()), (vec!["a=3"], if more == "5" { 0 } else { dead }), "{more:?}");
        assert!(read.reasons().iter().all(|why| why.starts_with("the rest of a line")), "{:?}", read.reasons());
    }
}

/// What a split yields until it has so many rows.
fn rows_of(split: &mut Opened, count: usize) -> Vec<String> {
    let mut read = Read::default();
    while read.rows.len() < count {
        match split.1.next(100, Instant::now() + Duration::from_secs(5)).expect("reads") {
            Poll::Rows(batch, dead) => take(&mut read, &batch, dead),
            Poll::Idle => {}
            Poll::End => panic!("it ended after {:?}", read.rows),
        }
    }
    assert_eq!(read.reasons(), [""; 0]);
    read.values().into_iter().map(str::to_owned).collect()
}

#[test]
fn a_run_that_follows_reads_what_is_added_rotated_replaced_and_new() {
    let mut runs = Runs::over(&[("log.csv", b"timestamp,a\n2004-03-10,1\n2004-03-11,")]);
    runs.more = json!({ "follow": true });
    let mut split = opened(&runs.files, runs.more.clone(), None).expect("opens");
    assert_eq!(rows_of(&mut split, 1), ["a=1"]);
    runs.append("log.csv", "2\n2004-03-12,3");
    assert_eq!(rows_of(&mut split, 1), ["a=2"]);
    // The last line of a file that was rotated gets no end, and is read as it stands.
    std::fs::rename(runs.files.path("log.csv"), runs.files.path("log.1")).expect("renames");
    runs.append("log.csv", format!("{HEAD}2004-03-13,4\n"));
    assert_eq!(rows_of(&mut split, 2), ["a=3", "a=4"]);
    runs.append("other.csv", "a,timestamp\n5,2004-03-14\n");
    assert_eq!(rows_of(&mut split, 1), ["a=5"]);
    runs.append("log.csv", "2004-03-15,6\n");
    assert_eq!(rows_of(&mut split, 1), ["a=6"]);
    // As a start after a crash finds it.
    let saved = state(&split);
    runs.append("other.csv", "7,2004-03-16\n");
    let mut split = opened(&runs.files, runs.more.clone(), Some(&saved)).expect("opens");
    assert_eq!(rows_of(&mut split, 1), ["a=7"]);
    std::fs::write(runs.files.path("other.csv"), "a,timestamp\n8,2004-03-17\n").expect("writes");
    assert_eq!(rows_of(&mut split, 1), ["a=8"], "emptied and begun again");
}

#[test]
fn what_comes_stops_nothing_once_there_were_cells_to_decide_by() {
    let row = |value: &str| format!("2004-03-10,{value}\n");
    let rows = |value: &str, count| row(value).repeat(count);
    for (cell, before, fails) in [("", 5, true), ("1.5", 5, false), ("1.5", 1000, false)] {
        let mut runs = Runs::over(&[("1.csv", format!("{HEAD}{}", rows(cell, before)).as_bytes())]);
        assert_eq!(runs.run().expect("runs").len(), before);
        runs.append("2.csv", format!("{HEAD}{}", rows("\"1,5\"", 10)));
        let second = runs.run();
        assert_eq!(second.is_err(), fails, "{before}");
        if let Err(error) = second {
            assert!(error.help_text().is_some_and(|help| help.contains("decimal = \",\"")), "{error:?}");
        }
    }
}

#[test]
fn a_file_that_was_emptied_and_filled_beyond_its_old_size_is_read_from_its_beginning() {
    let rows = |from: u32, count: u32| (from..from + count).map(text_of_row).collect::<String>();
    let text = |from, count| format!("{HEAD}{}", rows(from, count));
    let mut runs = Runs::over(&[("a.csv", text(1000, 2).as_bytes())]);
    runs.more = json!({ "follow": true });
    let mut split = opened(&runs.files, runs.more.clone(), None).expect("opens");
    assert_eq!(rows_of(&mut split, 2), ["a=1000", "a=1001"]);
    for (from, count) in [(2000, 2), (3000, 4), (4000, 2000)] {
        std::fs::write(runs.files.path("a.csv"), text(from, count)).expect("writes");
        let rows = rows_of(&mut split, count as usize);
        assert_eq!((rows.len(), &rows[0]), (count as usize, &format!("a={from}")));
        runs.append("a.csv", text_of_row(from + count));
        assert_eq!(rows_of(&mut split, 1), [format!("a={}", from + count)], "what is added is read on");
    }
    // Nothing but its time changes.
    std::fs::write(runs.files.path("a.csv"), std::fs::read(runs.files.path("a.csv")).expect("reads")).expect("writes");
    runs.append("a.csv", text_of_row(9));
    assert_eq!(rows_of(&mut split, 1), ["a=9"]);
    // As a start after a crash finds it.
    let saved = state(&split);
    let mut split = opened(&runs.files, runs.more.clone(), Some(&saved)).expect("opens");
    runs.append("a.csv", text_of_row(10));
    assert_eq!(rows_of(&mut split, 1), ["a=10"]);
    std::fs::write(runs.files.path("a.csv"), text(5000, 3000)).expect("writes");
    assert_eq!(rows_of(&mut split, 3000)[0], "a=5000");
}

fn text_of_row(row: u32) -> String {
    format!("2004-03-10,{row}\n")
}

#[test]
fn a_run_that_follows_waits_for_the_first_file_and_for_its_header() {
    let runs = Runs { files: Files::new(&[]), more: json!({ "follow": true }), last: None };
    let mut split = opened(&runs.files, runs.more.clone(), None).expect("opens");
    assert!(matches!(split.1.next(10, Instant::now()).expect("reads"), Poll::Idle));
    runs.append("a.csv", "times");
    assert!(matches!(split.1.next(10, Instant::now() + Duration::from_secs(2)).expect("reads"), Poll::Idle));
    runs.append("a.csv", "tamp,a\n2004-03-10,1\n");
    assert_eq!(rows_of(&mut split, 1), ["a=1"]);
}

#[test]
fn archives_are_not_followed_and_options_that_do_not_go_together_say_so() {
    let files = Files::one(&packed("timestamp,a\n2004-03-10,1\n"));
    let error = opened(&files, json!({ "follow": true }), None).map(drop).expect_err("an archive");
    assert!(error.help_text().is_some_and(|help| help.contains("rerun = \"new\"")), "{error}");
    for more in [json!({ "rerun": "new", "parallel": true }), json!({ "follow": true, "parallel": true })] {
        assert_eq!(problems(with(json!({ "path": "x" }), more)).len(), 1);
    }
    let few = json!({ "path": "x", "rerun": "new", "max_records": 3 });
    assert!(problems(few)[0].contains("all that is new"));
}

#[test]
fn a_run_over_files_that_grow_is_not_gone_on_with_as_one_over_files_that_do_not() {
    let mut runs = Runs::over(&[("a.csv", b"timestamp,a\n2004-03-10,1\n")]);
    runs.run().expect("runs");
    runs.append("a.csv", "2004-03-11,2\n");
    runs.run().expect("runs");
    runs.more = json!({});
    let error = runs.run().expect_err("it knows parts of files");
    assert!(error.help_text().is_some_and(|help| help.contains("--fresh")), "{error}");
}

#[test]
fn a_column_that_few_records_made_text_is_numbers_once_most_of_its_cells_are() {
    let rows = |cell: &str, count: usize| format!("2004-03-10,{cell}\n").repeat(count);
    let undeclared = json!({ "rerun": "new", "fields": [] });
    // In one file that grows, and in a new file each time.
    for names in [["1.csv"; 5], ["1.csv", "2.csv", "3.csv", "4.csv", "5.csv"]] {
        let mut runs = Runs::over(&[]);
        runs.more = undeclared.clone();
        let (mut all, parts) = (Vec::new(), [("off", 3), ("1", 2), ("2", 2), ("3", 1), ("off", 1)]);
        for (number, ((cell, count), name)) in parts.into_iter().zip(names).enumerate() {
            let header = if number == 0 || name != "1.csv" { HEAD } else { "" };
            runs.append(name, format!("{header}{}", rows(cell, count)));
            all.push(runs.run().expect("runs").remove(0));
        }
        assert_eq!(all[..4], ["a=\"off\"", "a=\"1\"", "a=2", "a=3"], "2 of 5, then 4 of 7");
        assert!(all[4].starts_with("a=(fail"), "{all:?}");
    }
    for (first, then) in [("007", 5), ("off", 2000)] {
        let before = if first == "off" { 1000 } else { 1 };
        let mut runs = Runs::over(&[("1.csv", format!("{HEAD}{}", rows(first, before)).as_bytes())]);
        runs.more = undeclared.clone();
        runs.run().expect("runs");
        runs.append("1.csv", rows("1", then));
        assert_eq!(runs.run().expect("runs")[0], "a=\"1\"", "{first}: a code, or a sample that was whole");
    }
}
