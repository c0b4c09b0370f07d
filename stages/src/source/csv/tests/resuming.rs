//! Going on in the middle.

use std::sync::Arc;

use aqpipe_engine::record::Position;
use aqpipe_engine::stage::{RecordedSplit, SplitState};
use proptest::prelude::*;

use super::super::file_reading::FileReading;
use super::super::input_files;
use super::super::resume;
use super::super::row_decoder::RowDecoder;
use super::super::split::CsvSplitReader;
use super::*;

/// A split over the files of a directory, as `run` would open it.
fn resumed(files: &Files, start: Option<&SplitState>) -> Result<CsvSplitReader> {
    let config = Arc::new(config(files.options("*.csv", json!({}))));
    let header: Arc<[String]> = ["timestamp", "a", "b"].map(str::to_owned).into();
    let reading = FileReading::new(Arc::clone(&config), Arc::default());
    let decoder = RowDecoder::new(&config, reading.plan(&header)?, 0, true)?;
    let found = input_files::expand(&config.path, config.encoding())?;
    let recorded = start.map(|start| RecordedSplit { id: "split".into(), start: start.clone(), held: 0, ended: false });
    let planned = resume::plan_splits(recorded.into_iter().collect(), &found, &config.path, false)?.remove(0);
    let mut split = CsvSplitReader::new("split".into(), planned.files, decoder, (reading, header), None, None);
    planned.resumed.map_or(Ok(()), |resumed| split.resume(resumed))?;
    Ok(split)
}

fn start(split: &dyn SplitReader) -> SplitState {
    let reader = split.snapshot_state(split.position()).expect("carries");
    SplitState { position: split.position(), reader, ..SplitState::default() }
}

fn bodies() -> impl Strategy<Value = Vec<String>> {
    let line = prop_oneof![
        6 => "2004-03-1[0-9],[0-9]{1,3},[0-9]{0,2}",
        1 => "2004-03-1[0-9],[0-9],(text|\"two\nlines\"|\"a,\"\"b\")",
        1 => "nonsense(,1,2)?",
        1 => "2004-03-1[0-9],\"[0-9],x",
        1 => "(,,|  |)",
    ];
    let line_end = prop_oneof![Just("\n"), Just("\r\n"), Just("\r")];
    let body = (prop::collection::vec(line, 0..12), line_end, any::<bool>()).prop_map(|(lines, end, last)| {
        let mut text = lines.join(end);
        if last && !text.is_empty() {
            text.push_str(end);
        }
        format!("timestamp,a,b{end}{text}")
    });
    prop::collection::vec(body, 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn reading_goes_on_anywhere_and_yields_the_same_rest(
        bodies in bodies(), sizes in prop::collection::vec(1usize..5, 40), packing in 0..3,
    ) {
        let names = ["a.csv", "b.csv", "c.csv"];
        // A packed file goes on from its start, to the same byte.
        let pack = |body: &String| match packing {
            0 => body.clone().into_bytes(),
            1 => gzip(body.as_bytes()),
            _ => zstd(body.as_bytes()),
        };
        let bodies: Vec<Vec<u8>> = bodies.iter().map(pack).collect();
        let contents: Vec<(&str, &[u8])> = names.into_iter().zip(bodies.iter().map(Vec::as_slice)).collect();
        let files = Files::new(&contents);
        let mut whole = resumed(&files, None).expect("opens");
        let whole = read_all(&mut whole, 1000).expect("reads");

        // Every few records the split is dropped and another one goes on from what it left.
        let mut read = Read::default();
        let mut from: Option<SplitState> = None;
        for size in sizes.iter().cycle() {
            let mut split = resumed(&files, from.as_ref()).expect("opens");
            let Some((batch, dead)) = next(&mut split, *size).expect("reads") else { break };
            prop_assert!(batch.rows() + dead.len() <= *size);
            take(&mut read, &batch, dead);
            prop_assert_eq!(split.position().records, (read.rows.len() + read.dead.len()) as u64);
            from = Some(start(&split));
        }
        prop_assert_eq!(&read, &whole);
    }

    #[test]
    fn the_origin_of_a_row_is_a_place_to_go_on_at(bodies in bodies()) {
        let files = Files::new(&[("a.csv", bodies[0].as_bytes())]);
        let whole = read_all(&mut resumed(&files, None).expect("opens"), 1000).expect("reads");
        for (index, (origin, _)) in whole.raw.iter().enumerate() {
            let position = Position { offset: *origin, records: 0 };
            // Kinds are known to the split that stopped there; with all fields decided they are those of the end.
            let mut ended = resumed(&files, None).expect("opens");
            read_all(&mut ended, 1000).expect("reads");
            let reader = ended.snapshot_state(position).expect("carries");
            let mut split = resumed(&files, Some(&SplitState { position, reader, ..SplitState::default() })).expect("opens");
            let rest = read_all(&mut split, 1000).expect("reads");
            prop_assert_eq!(&rest.raw, &whole.raw[index..]);
        }
    }
}

#[test]
fn a_split_goes_on_with_the_kinds_of_fields_that_it_knew() {
    let files = Files::one(b"timestamp,a,b\n2004-03-10,x,1\n2004-03-11,y,2\n2004-03-12,2,z\n");
    let mut split = resumed(&files, None).expect("opens");
    next(&mut split, 2).expect("reads").expect("rows");
    let mut split = resumed(&files, Some(&start(&split))).expect("opens");
    let read = read_all(&mut split, 10).expect("reads");
    assert_eq!(read.values(), ["a=\"2\" b=(fail observed(0) tests 0b1)"]);
}

#[test]
fn places_are_right_after_going_on() {
    let files = Files::one(b"timestamp,a,b\n\n2004-03-10,\"1\",2\n\r\nbad,1,2\n");
    let mut split = resumed(&files, None).expect("opens");
    next(&mut split, 1).expect("reads").expect("a row");
    let place = |start: &SplitState| {
        let mut split = resumed(&files, Some(start)).expect("opens");
        let read = read_all(&mut split, 10).expect("reads");
        files.plain(read.dead[0].place.as_deref().unwrap_or_default())
    };
    let start = start(&split);
    assert_eq!(place(&start), "a.csv:5");
    let earlier = Position { offset: 15, records: 0 };
    let mut split = resumed(&files, None).expect("opens");
    next(&mut split, 1).expect("reads").expect("a row");
    let reader = split.snapshot_state(earlier).expect("carries");
    assert_eq!(
        place(&SplitState { position: earlier, reader, ..start }),
        "a.csv:5",
        "after a checkpoint before the split's position"
    );
    let mut place = |at| split.describe_offset(at).map(|place| files.plain(&place));
    assert_eq!(place(15).as_deref(), Some("a.csv:3"), "a place of a row, for people");
    assert_eq!(place(34).as_deref(), Some("a.csv:5"));
}

#[test]
fn files_that_are_not_those_of_before_are_an_error() {
    let files = Files::new(&[("a.csv", b"timestamp,a,b\n2004-03-10,1,2\n"), ("b.csv", b"timestamp,a,b\n")]);
    let mut split = resumed(&files, None).expect("opens");
    next(&mut split, 1).expect("reads").expect("a row");
    let start = start(&split);
    std::fs::write(files.path("a.csv"), "timestamp,a,b\n").expect("writes");
    let error = resumed(&files, Some(&start)).map(|_| ()).expect_err("shorter");
    assert!(error.to_string().contains("a.csv has 14 bytes and had 29"), "{error}");
    assert!(error.help_text().is_some_and(|help| help.contains("--fresh")));
    std::fs::remove_file(files.path("a.csv")).expect("removes");
    let mut split = resumed(&files, Some(&start)).expect("what was read to its end is not needed any more");
    assert_eq!(read_all(&mut split, 10).expect("reads").rows.len(), 0);
    let damaged = SplitState { reader: vec![1, 255, 255], ..start.clone() };
    assert!(resumed(&files, Some(&damaged)).is_err());
    let foreign = SplitState { reader: vec![9], ..start };
    assert!(resumed(&files, Some(&foreign)).is_err());
}

#[test]
fn a_file_whose_beginning_has_changed_is_refused_though_it_is_as_long() {
    let files = Files::new(&[
        ("a.csv", b"timestamp,a,b\n2004-03-10,1,2\n"),
        ("b.csv", b"timestamp,a,b\n2004-03-11,3,4\n2004-03-12,5,6\n"),
    ]);
    let mut split = resumed(&files, None).expect("opens");
    next(&mut split, 1).expect("reads").expect("a row of the first");
    next(&mut split, 1).expect("reads").expect("a row of the second");
    let start = start(&split);
    for (name, text) in
        [("a.csv", "timestamp,a,b\n2004-03-10,1,9\n"), ("b.csv", "timestamp,a,b\n2004-03-11,9,4\n2004-03-12,5,6\n")]
    {
        let before = std::fs::read(files.path(name)).expect("reads");
        std::fs::write(files.path(name), text).expect("writes");
        let error = resumed(&files, Some(&start)).map(|_| ()).expect_err("changed");
        assert!(error.to_string().contains("the beginning of ") && error.to_string().contains(name), "{error}");
        assert!(error.help_text().is_some_and(|help| help.contains("--fresh")));
        std::fs::write(files.path(name), before).expect("writes");
    }
    std::fs::write(files.path("b.csv"), "timestamp,a,b\n2004-03-11,3,4\n2004-03-13,7,8\n").expect("writes");
    let mut split = resumed(&files, Some(&start)).expect("what was not read yet may change");
    assert_eq!(read_all(&mut split, 10).expect("reads").values(), ["a=7 b=8"]);
}

#[test]
fn what_was_added_to_the_last_file_is_read_on() {
    let files = Files::one(b"timestamp,a,b\n2004-03-10,1,2\n");
    let mut split = resumed(&files, None).expect("opens");
    assert_eq!(read_all(&mut split, 10).expect("reads").rows.len(), 1);
    std::fs::write(files.path("a.csv"), "timestamp,a,b\n2004-03-10,1,2\n2004-03-11,3,4\nbad,5,6\n").expect("writes");
    let mut split = resumed(&files, Some(&start(&split))).expect("opens");
    let read = read_all(&mut split, 10).expect("reads");
    assert_eq!(read.values(), ["a=3 b=4"]);
    assert_eq!(files.plain(read.dead[0].place.as_deref().unwrap_or_default()), "a.csv:4");
}
