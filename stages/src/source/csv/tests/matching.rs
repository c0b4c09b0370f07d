//! Files that are recognised, whatever they are called.

use aqpipe_engine::stage::{RecordedSplit, SplitState};
use encoding_rs::UTF_8;

use super::super::input_files::{InputFile, expand};
use super::super::resume::{self, PlannedSplit};
use super::super::snapshot::SplitSnapshot;
use super::*;

/// More than a little: many rows, which differ from file to file.
fn long(first: &str) -> String {
    let rows: String = (0..400).map(|row| format!("2004-03-10T00:00:00,{row}\n")).collect();
    format!("timestamp,a\n2004-03-09,{first}\n{rows}")
}

/// What a run recorded of its splits that read so many rows of each.
fn recorded(files: &Files, path: &str, parallel: bool, rows: &[usize]) -> Vec<RecordedSplit> {
    let options = files.options(path, json!({ "parallel": parallel }));
    let splits = built(options, &BuildContext::for_tests()).expect("builds").fit_readers().expect("opens");
    let mut recorded = Vec::new();
    for ((id, mut split), rows) in splits.into_iter().zip(rows) {
        for _ in 0..*rows {
            next(&mut *split, 1).expect("reads").expect("a row");
        }
        let reader = split.snapshot_state(split.position()).expect("carries");
        let start = SplitState { position: split.position(), reader, ..SplitState::default() };
        recorded.push(RecordedSplit { id, start, held: 0, ended: false });
    }
    recorded
}

fn plan_splits(files: &Files, recorded: Vec<RecordedSplit>, path: &str, parallel: bool) -> Result<Vec<PlannedSplit>> {
    let path = files.path(path).to_string_lossy().into_owned();
    resume::plan_splits(recorded, &expand(&path, UTF_8)?, &path, parallel)
}

/// The splits as `id: files`, the file that is gone on with marked by the byte.
fn shown(files: &Files, openings: Result<Vec<PlannedSplit>>) -> Vec<String> {
    let openings =
        openings.map_err(|error| files.plain(&format!("{error} ({})", error.help_text().unwrap_or_default())));
    let line = |opening: &PlannedSplit| {
        let at = opening.resumed.as_ref().map(|resumed| (resumed.file, resumed.byte));
        let mut names: Vec<String> = opening
            .files
            .iter()
            .enumerate()
            .map(|(number, file)| match at {
                Some((file, byte)) if file == number => format!("{}@{byte}", file_name(&opening.files[number].name)),
                _ => file_name(&file.name).to_owned(),
            })
            .collect();
        if at.is_some_and(|(file, _)| file >= opening.files.len()) {
            names.push("@end".into());
        }
        format!("{}: {}", files.plain(&opening.id), names.join(" "))
    };
    match openings {
        Ok(openings) => openings.iter().map(line).collect(),
        Err(error) => vec![error],
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

fn rename(files: &Files, from: &str, to: &str) {
    std::fs::rename(files.path(from), files.path(to)).expect("renames");
}

#[test]
fn a_file_that_is_spelt_otherwise_goes_on_as_the_same_split() {
    let files = Files::one(b"timestamp,a\n2004-03-10,1\n2004-03-11,2\n");
    std::fs::create_dir(files.path("real")).expect("makes");
    rename(&files, "a.csv", "real/a.csv");
    std::os::unix::fs::symlink(files.path("real"), files.path("link")).expect("links");
    for parallel in [false, true] {
        for path in ["real/a.csv", "./real/a.csv", "real/../real/a.csv", "link/a.csv", "real/*.csv", "*/a.csv"] {
            let recorded = recorded(&files, "real/a.csv", parallel, &[1]);
            assert_eq!(
                shown(&files, plan_splits(&files, recorded, path, parallel)),
                ["real/a.csv: a.csv@25"],
                "{path} {parallel}"
            );
        }
    }
}

#[test]
fn a_renamed_file_goes_on_as_the_split_that_it_was_and_one_that_took_its_name_is_new() {
    let files = Files::one(b"timestamp,a\n2004-03-10,1\n2004-03-11,2\n");
    let before = recorded(&files, "a.csv", true, &[1]);
    rename(&files, "a.csv", "b.csv");
    assert_eq!(shown(&files, plan_splits(&files, before.clone(), "*.csv", true)), ["a.csv: b.csv@25"]);
    std::fs::write(files.path("a.csv"), "timestamp,a\n2004-03-10,9\n2004-03-11,2\n").expect("writes");
    assert_eq!(
        shown(&files, plan_splits(&files, before, "*.csv", true)),
        ["a.csv: b.csv@25", "a.csv~2: a.csv"],
        "no split takes another one's name"
    );
}

#[test]
fn a_file_that_was_moved_to_another_disk_is_known_by_what_was_read_unless_that_is_little() {
    let files = Files::new(&[("a.csv", long("1").as_bytes()), ("b.csv", long("2").as_bytes())]);
    let before = recorded(&files, "*.csv", true, &[300, 300]);
    for (from, to) in [("a.csv", "y.csv"), ("b.csv", "x.csv")] {
        // A copy is another file to the disk.
        std::fs::copy(files.path(from), files.path(to)).expect("copies");
        std::fs::remove_file(files.path(from)).expect("removes");
    }
    let splits = shown(&files, plan_splits(&files, before, "*.csv", true));
    assert_eq!(splits.len(), 2, "{splits:?}");
    assert!(splits[0].starts_with("a.csv: y.csv@") && splits[1].starts_with("b.csv: x.csv@"), "{splits:?}");

    let files = Files::one(b"timestamp,a\n2004-03-10,1\n2004-03-11,2\n");
    let before = recorded(&files, "a.csv", true, &[1]);
    std::fs::copy(files.path("a.csv"), files.path("b.csv")).expect("copies");
    std::fs::remove_file(files.path("a.csv")).expect("removes");
    assert!(shown(&files, plan_splits(&files, before, "*.csv", true))[0].starts_with("a.csv is gone"));
}

#[test]
fn small_files_that_were_read_and_moved_to_another_disk_are_not_read_again() {
    let two = [("a.csv", &b"timestamp,a\n2004-03-10,1\n"[..]), ("b.csv", b"timestamp,a\n2004-03-11,2\n")];
    type Case<'a> = (&'a str, &'a str, &'a [&'a str], &'a str);
    let cases: [Case<'_>; 4] = [
        ("b.csv", "timestamp,a\n2004-03-11,2\n", &["a.csv: a.csv@25", "b.csv: b.csv@25"], "*.csv: a.csv b.csv@25"),
        (
            "a.csv",
            "timestamp,a\n2004-03-10,9\n",
            &["b.csv: b.csv@25", "new/a.csv: a.csv"],
            "*.csv: a.csv b.csv@25 a.csv",
        ),
        (
            "a.csv",
            "timestamp,a\n2004-03-10,1\n2004-03-12,3\n",
            &["b.csv: b.csv@25", "new/a.csv: a.csv"],
            "*.csv: a.csv b.csv@25 a.csv",
        ),
        (
            "c.csv",
            "timestamp,a\n2004-03-10,1\n",
            &["a.csv: a.csv@25", "b.csv: b.csv@25", "new/c.csv: c.csv"],
            "*.csv: a.csv b.csv@25 c.csv",
        ),
    ];
    for (name, text, side_by_side, in_order) in cases {
        for parallel in [true, false] {
            let files = Files::new(&two);
            let mut before = recorded(&files, "*.csv", parallel, if parallel { &[1, 1] } else { &[2] });
            before.iter_mut().for_each(|split| split.ended = true);
            std::fs::create_dir(files.path("new")).expect("makes");
            for (name, bytes) in two {
                std::fs::write(files.path("new").join(name), bytes).expect("writes");
            }
            std::fs::write(files.path("new").join(name), text).expect("writes");
            // Last, so that none of the new ones gets the number of an old one.
            for (name, _) in two {
                std::fs::remove_file(files.path(name)).expect("removes");
            }
            let splits = shown(&files, plan_splits(&files, before, "new/*.csv", parallel));
            let expected = if parallel { side_by_side } else { std::slice::from_ref(&in_order) };
            assert_eq!(splits, expected, "{name} {text:?}, parallel = {parallel}");
        }
    }
}

#[test]
fn a_file_that_is_gone_before_it_was_done_stops_the_run_with_its_place_its_held_rows_and_the_way_out() {
    let files = Files::new(&[
        ("a.csv", b"timestamp,a\n2004-03-10,1\n2004-03-11,2\n"),
        ("b.csv", b"timestamp,a\n2004-03-10,3\n2004-03-11,4\n"),
    ]);
    let mut before = recorded(&files, "*.csv", true, &[1, 2]);
    before[0].held = 390;
    before[1].ended = true;
    std::fs::remove_file(files.path("a.csv")).expect("removes");
    let error = plan_splits(&files, before.clone(), "*.csv", true).map(|_| ()).expect_err("gone");
    assert_eq!(
        files.plain(&error.to_string()),
        "a.csv is gone: the interrupted run had read it up to line 3, and 390 records of it are held back, and no file of \
         *.csv is that one"
    );
    let help = files.plain(error.help_text().unwrap_or_default());
    assert!(help.contains("put it back (") && help.contains("--fresh"), "{help}");
    // One that had ended is not missed.
    before.remove(0);
    std::fs::write(files.path("a.csv"), "timestamp,a\n").expect("writes");
    std::fs::remove_file(files.path("b.csv")).expect("removes");
    assert_eq!(shown(&files, plan_splits(&files, before, "*.csv", true)), ["a.csv: a.csv"]);
}

#[test]
fn a_split_over_all_files_goes_on_where_it_was_whatever_came_went_or_was_renamed() {
    let three = || {
        Files::new(&[
            ("a.csv", b"timestamp,a\n2004-03-10,1\n"),
            ("b.csv", b"timestamp,a\n2004-03-11,2\n2004-03-12,3\n"),
            ("c.csv", b"timestamp,a\n2004-03-13,4\n"),
        ])
    };
    let write =
        |files: &Files, name: &str| std::fs::write(files.path(name), "timestamp,a\n2004-03-14,5\n").expect("writes");
    let remove = |files: &Files, name: &str| std::fs::remove_file(files.path(name)).expect("removes");
    type Change<'a> = &'a dyn Fn(&Files);
    let cases: [(&str, Change<'_>, &str); 8] = [
        ("nothing", &|_| {}, "*.csv: a.csv b.csv@25 c.csv"),
        ("one that sorts before", &|files| write(files, "aa.csv"), "*.csv: a.csv b.csv@25 aa.csv c.csv"),
        ("one that sorts behind", &|files| write(files, "d.csv"), "*.csv: a.csv b.csv@25 c.csv d.csv"),
        ("one that was read is gone", &|files| remove(files, "a.csv"), "*.csv: a.csv b.csv@25 c.csv"),
        ("one that was not read yet is gone", &|files| remove(files, "c.csv"), "*.csv: a.csv b.csv@25"),
        ("the present one sorts elsewhere", &|files| rename(files, "b.csv", "z.csv"), "*.csv: a.csv z.csv@25 c.csv"),
        ("one that was read sorts elsewhere", &|files| rename(files, "a.csv", "z.csv"), "*.csv: z.csv b.csv@25 c.csv"),
        (
            "the present one is gone",
            &|files| remove(files, "b.csv"),
            "b.csv is gone: the interrupted run had read it up to line 3, and no file of *.csv is that one",
        ),
    ];
    for (what, change, expected) in cases {
        let files = three();
        let before = recorded(&files, "*.csv", false, &[2]);
        change(&files);
        let splits = shown(&files, plan_splits(&files, before, "*.csv", false));
        assert_eq!(splits.len(), 1, "{what}");
        assert!(splits[0].starts_with(expected), "{what}: {}", splits[0]);
    }
}

#[test]
fn a_split_that_has_read_a_file_to_its_end_does_not_need_it_any_more() {
    let files = Files::new(&[("a.csv", b"timestamp,a\n2004-03-10,1\n"), ("b.csv", b"timestamp,a\n2004-03-11,2\n")]);
    let mut before = recorded(&files, "*.csv", false, &[2]);
    before[0].ended = true;
    std::fs::remove_file(files.path("b.csv")).expect("removes");
    std::fs::write(files.path("c.csv"), "timestamp,a\n2004-03-14,5\n").expect("writes");
    assert_eq!(shown(&files, plan_splits(&files, before, "*.csv", false)), ["*.csv: a.csv b.csv c.csv@0"]);
}

#[test]
fn files_one_after_the_other_and_side_by_side_are_not_taken_for_each_other() {
    let files = Files::new(&[("a.csv", b"timestamp,a\n2004-03-10,1\n"), ("b.csv", b"timestamp,a\n2004-03-11,2\n")]);
    for (parallel, rows) in [(false, &[1][..]), (true, &[1, 0])] {
        let before = recorded(&files, "*.csv", parallel, rows);
        let error = plan_splits(&files, before, "*.csv", !parallel).map(|_| ()).expect_err("the other way");
        assert!(error.to_string().contains(&format!("the interrupted run had `parallel = {parallel}`")), "{error}");
        assert!(error.help_text().is_some_and(|help| help.contains("--fresh")));
    }
    // One file is both.
    let before = recorded(&files, "a.csv", false, &[1]);
    assert_eq!(shown(&files, plan_splits(&files, before, "*.csv", true)), ["a.csv: a.csv@25", "b.csv: b.csv"]);
}

#[test]
fn the_files_of_a_completed_run_are_compared_with_those_that_are_there() {
    let two = [("a.csv", &b"timestamp,a\n2004-03-10,1\n"[..]), ("b.csv", b"timestamp,a\n2004-03-11,2\n")];
    type Change<'a> = &'a dyn Fn(&Files);
    let write = |files: &Files, name: &str, text: &str| std::fs::write(files.path(name), text).expect("writes");
    let cases: [(Change<'_>, Option<&str>); 6] = [
        (&|_| {}, None),
        (&|files| rename(files, "a.csv", "c.csv"), None),
        (&|files| write(files, "b.csv", "timestamp,a\n2004-03-11,2\n3"), Some("b.csv has 1 byte more")),
        (
            &|files| write(files, "b.csv", "timestamp,a\n2004-03-11,3\n"),
            Some("the files are not those that were read before: the beginning of b.csv has changed"),
        ),
        (&|files| write(files, "c.csv", "timestamp,a\n"), Some("c.csv is new")),
        (&|files| std::fs::remove_file(files.path("a.csv")).expect("removes"), Some("a.csv is gone")),
    ];
    for parallel in [false, true] {
        for (change, expected) in cases {
            let files = Files::new(&two);
            let completed = recorded(&files, "*.csv", parallel, if parallel { &[1, 1] } else { &[2] });
            change(&files);
            let there = expand(&files.path("*.csv").to_string_lossy(), UTF_8).expect("looks");
            let differs =
                resume::input_changes(&completed, &there).expect("compares").map(|differs| files.plain(&differs));
            assert_eq!(differs.as_deref(), expected, "parallel = {parallel}");
        }
    }
}

#[test]
fn what_is_saved_of_many_files_of_a_directory_is_little_and_comes_back() {
    let file = |number: usize| InputFile {
        name: format!("data/of/a/station/2004-{number:05}.csv"),
        length: 100_000,
        from: 0,
        headers: Vec::new(),
        before: 0,
        stored: 100_000,
        form: Default::default(),
        path: format!("/a/long/way/to/the/data/of/a/station/2004-{number:05}.csv"),
        node: (66_306, 1_000_000 + number as u64),
    };
    let mut files: Vec<InputFile> = (0..1_000).map(file).collect();
    files.push(InputFile { name: "latest".into(), path: "/elsewhere/2005.csv".into(), ..file(0) });
    let snapshot = SplitSnapshot {
        files: files.clone(),
        texts: Default::default(),
        is_undecided: false,
        origin: 0,
        known: Vec::new(),
        line: 7,
        kinds: Vec::new(),
        read: vec![1, 2],
        times: Vec::new(),
    };
    let bytes = snapshot.to_bytes().expect("bytes");
    assert!(bytes.len() < 35 * files.len(), "{} bytes", bytes.len());
    let start = SplitState { reader: bytes, ..SplitState::default() };
    let back = SplitSnapshot::from_state("x", &start).expect("reads");
    assert_eq!((back.files, back.line, back.read), (files, 7, vec![1, 2]));
}
