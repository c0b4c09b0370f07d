//! README's first command: the pipelines that ship, on the embedded broker.

use crate::common::{Done, TestDir, UCI_FIELDS, shipped, uci};

/// Where the consumer writes on the embedded broker.
const OUTPUT: &str = "processed_data/embedded";
const COMMAND: [&str; 4] = ["run", "--embedded-broker", "producer.toml", "consumer.toml"];
const DERIVED: [&str; 5] = ["hour", "day_of_week", "month", "is_weekend", "season"];

fn setup() -> TestDir {
    TestDir::with(&[("producer.toml", &shipped("producer.toml")), ("consumer.toml", &shipped("consumer.toml"))])
}

/// What the summary says of a pipeline: `read 10, written 10, …`.
fn counts<'a>(done: &'a Done, pipeline: &str) -> &'a str {
    let report = done.report();
    let line = report.iter().find_map(|line| line.strip_prefix(pipeline)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("no summary of {pipeline} in\n{}", done.err))
}

/// The timestamps of so many hours from the first of the UCI file on.
fn hours(records: usize) -> Vec<String> {
    let start: jiff::civil::DateTime = "2004-03-10T18:00:00".parse().expect("a time");
    let hour = |n: usize| start + jiff::Span::new().hours(i64::try_from(n).expect("small"));
    (0..records).map(|n| format!("{}+01:00", hour(n).strftime("%Y-%m-%dT%H:%M:%S"))).collect()
}

#[test]
fn without_a_data_file_generated_readings_go_through_kafka_into_scored_files_and_it_says_so() {
    let dir = setup();
    let done = dir.run(&COMMAND).expect(
        0,
        &[
            "WARN producer: there is no file data/AirQualityUCI.csv: the readings are GENERATED, not measured",
            "this run uses a broker inside this process: it keeps its records in memory, they are gone at exit",
            "producer: csv -> impute -> derive -> range_check -> score -> kafka\n",
            "consumer: kafka -> range_check -> score -> csv\n",
            "producer: delivery at_least_once: the embedded broker has no transactions\n",
            "consumer: delivery at_least_once: the embedded broker has no transactions\n",
        ],
    );
    let carried = "read 9357, written 9357, dead letters 0, filtered 0, held 0; ";
    assert!(counts(&done, "producer").starts_with(&format!("{carried}in ")), "{}", done.err);
    assert!(
        counts(&done, "consumer").starts_with(&format!("{carried}94 files in processed_data/embedded/ in ")),
        "{}",
        done.err
    );
    assert!(!dir.path("data").exists(), "generated readings never take the place of the real file");

    let rows = dir.rows(OUTPUT);
    let header: Vec<&str> = ["timestamp", "station"]
        .into_iter()
        .chain(UCI_FIELDS)
        .chain(DERIVED)
        .chain(["quality_score", "qc_flags", "fills", "tests"])
        .collect();
    assert_eq!(rows.header, header);
    assert_eq!(rows.column("timestamp"), hours(9357), "every record once, in order");
    assert!(rows.column("station").iter().all(|station| *station == "sample"), "they say what they are");
    assert_eq!(dir.files(OUTPUT).len(), 94);
    assert!(dir.temporary_files(OUTPUT).is_empty());
    assert!(dir.dead_letters("dead_letters/embedded").is_empty());
    let scores = rows.numbers("quality_score");
    let mean = scores.iter().sum::<f64>() / scores.len() as f64;
    assert!(scores.iter().all(|score| (0.0..=1.0).contains(score)));
    let message = format!("  mean score {mean:.6}");
    assert_eq!(done.report().iter().filter(|line| **line == message).count(), 2, "{message} of both in {}", done.err);
    assert!(!dir.path(".aqpipe").exists(), "the state of an embedded run is gone with its broker");
}

#[test]
fn a_wrong_path_sends_no_generated_readings_and_is_answered_with_the_command_that_would() {
    let dir = setup();
    let done = dir.run(&["run", "producer.toml", "--set", "source.path=data/AirQaulityUCI.csv"]);
    let done = done.expect(1, &["there is no file data/AirQaulityUCI.csv", "generated readings instead"]);
    let command = "run producer.toml --set source.path=data/AirQaulityUCI.csv --sample`\n";
    assert!(done.err.ends_with(command), "{}", done.err);
    let sample = &["run", "producer.toml", "--sample", "--set", "sink={ type = \"null\" }"];
    dir.run(sample).expect(0, &["readings are GENERATED", "producer: read 9357, written 9357,"]);
}

#[test]
fn a_data_file_is_read_filled_and_scored_and_each_log_file_holds_the_lines_of_its_own_pipeline() {
    let dir = setup();
    dir.write("data/AirQualityUCI.csv", uci(1_000));
    let done = dir.run(&COMMAND).expect(0, &["producer: done", "consumer: done"]);
    assert!(!done.err.contains("GENERATED"), "{}", done.err);
    let rows = dir.rows(OUTPUT);
    assert_eq!(rows.column("timestamp"), hours(1_000));
    assert_eq!(dir.files(OUTPUT).len(), 10);
    for field in UCI_FIELDS {
        assert!(rows.column(field).iter().all(|cell| !cell.is_empty()), "every gap of {field} is filled");
    }
    // The median of NOx(GT) stands in no gap: they are short. The hundredth records break its range.
    let flags = rows.column("qc_flags");
    let nox = UCI_FIELDS.iter().position(|field| *field == "NOx(GT)").expect("there");
    let failed: Vec<usize> = (0..1_000).filter(|row| flags[*row].as_bytes()[nox + 1] == b'4').collect();
    let above: Vec<usize> =
        rows.numbers("NOx(GT)").iter().enumerate().filter(|(_, nox)| **nox > 1000.0).map(|(row, _)| row).collect();
    assert_eq!(failed, above);
    assert!(failed.len() >= 8, "{failed:?}");
    let (fills, scores) = (rows.column("fills"), rows.numbers("quality_score"));
    for row in 0..1_000 {
        let whole = fills[row].is_empty() && !failed.contains(&row);
        assert_eq!(scores[row] == 1.0, whole, "row {row}: {} with fills {:?}", scores[row], fills[row]);
    }

    for (name, other) in [("producer", "consumer"), ("consumer", "producer")] {
        let log = dir.read(&format!("kafka_{name}.log"));
        assert!(log.lines().count() > 1, "{log}");
        for line in log.lines() {
            // Consumers may share a file, which names them.
            let line = line.replacen(" consumer/0: ", " consumer: ", 1);
            assert!(line.contains(&format!(" {name}: ")), "{line}");
            assert!(!line.contains(&format!(" {other}: ")), "{line}");
            let (_, message) = line.split_once("] ").expect("a time and the process before it");
            assert!(done.err.contains(message), "the console has what the file has: {line}");
        }
    }
}

#[test]
fn the_first_command_can_be_repeated_and_the_repeat_replaces_the_files() {
    let dir = setup();
    dir.write("data/AirQualityUCI.csv", uci(450));
    dir.run(&COMMAND).expect(0, &[]);
    let (first, files) = (dir.rows(OUTPUT), dir.files(OUTPUT));
    dir.write("data/AirQualityUCI.csv", uci(230));
    dir.run(&COMMAND).expect(0, &[]);
    let second = dir.rows(OUTPUT);
    assert_eq!((first.len(), second.len()), (450, 230));
    assert_eq!((files.len(), dir.files(OUTPUT).len()), (5, 3), "files of the first run are gone");
    assert_eq!(second.column("timestamp"), hours(230));
}

#[test]
fn copies_of_the_pipelines_under_new_names_work_without_touching_their_dead_letters() {
    let dir = setup();
    dir.write("data/AirQualityUCI.csv", uci(50).replacen("18.00.00", "no time", 1));
    dir.run(&COMMAND).expect(0, &["producer: read 50, written 49, dead letters 1,"]);
    for name in ["producer", "consumer"] {
        let copy = shipped(&format!("{name}.toml")).replacen(
            &format!("name = \"{name}\""),
            &format!("name = \"copy-{name}\""),
            1,
        );
        dir.write(&format!("copy-{name}.toml"), copy);
    }
    let run = [
        "run",
        "--embedded-broker",
        "copy-producer.toml",
        "copy-consumer.toml",
        "--set",
        "copy-consumer:sink.dir=copies",
    ];
    dir.run(&run).expect(0, &["copy-producer: read 50, written 49, dead letters 1,", "copy-consumer: done\n"]);
    assert_eq!(dir.rows("copies/embedded").len(), 49);
    assert_eq!(dir.files("dead_letters/embedded").len(), 2, "those of each are called after it");
}

#[test]
fn an_embedded_run_leaves_the_files_of_a_real_one_alone() {
    let dir = setup();
    dir.write("data/AirQualityUCI.csv", uci(50));
    // Files of this pipeline, as a run without the embedded broker leaves them.
    let real = shipped("consumer.toml");
    let (from, to) = (real.find("[source]").expect("there"), real.find("[[transform]]").expect("there"));
    let source = "[source]\ntype = \"sample\"\nrecords = 30\n\n";
    dir.write("real.toml", format!("{}{source}{}", &real[..from], &real[to..]));
    dir.run(&["run", "real.toml"]).expect(0, &[]);
    let before = dir.files("processed_data");
    assert_eq!(before.len(), 1);
    dir.run(&COMMAND).expect(0, &[]);
    assert_eq!((dir.files("processed_data"), dir.rows(OUTPUT).len()), (before.clone(), 50));
    dir.run(&["run", "real.toml"]).expect(0, &["consumer: nothing to do\n"]);
    assert_eq!(dir.files("processed_data"), before);
}

/// What is known of the real file; see its page at the UCI Machine Learning Repository.
#[test]
#[ignore = "needs AQPIPE_UCI_CSV"]
fn the_real_file_scores_as_it_is_known_to() {
    let file = std::env::var("AQPIPE_UCI_CSV").expect("AQPIPE_UCI_CSV names AirQualityUCI.csv");
    let dir = setup();
    dir.write("data/AirQualityUCI.csv", std::fs::read(file).expect("AQPIPE_UCI_CSV names the file"));
    dir.run(&COMMAND).expect(0, &["  mean score 0.899985\n"]);
    let rows = dir.rows(OUTPUT);
    assert_eq!(rows.column("timestamp"), hours(9357));
    let scores = rows.numbers("quality_score");
    let mean = scores.iter().sum::<f64>() / scores.len() as f64;
    let least = scores.iter().copied().fold(f64::INFINITY, f64::min);
    assert_eq!(format!("{mean:.6}"), "0.899985");
    assert_eq!(least, 0.2);
    assert_eq!(scores.iter().filter(|score| **score == 1.0).count(), 827);

    let flags = rows.column("qc_flags");
    let failed = |field: usize| flags.iter().filter(|flags| flags.as_bytes()[field + 1] == b'4').count();
    let by_field: Vec<(&str, usize)> =
        UCI_FIELDS.iter().enumerate().map(|(i, field)| (*field, failed(i))).filter(|(_, count)| *count > 0).collect();
    assert_eq!(by_field, [("NOx(GT)", 78)]);
    assert_eq!(flags.iter().filter(|flags| flags.contains('4')).count(), 78);

    let filled = |field: &str, method: &str| {
        let start = format!("{field}={method}");
        rows.column("fills").iter().filter(|fills| fills.split(';').any(|fill| fill.trim().starts_with(&start))).count()
    };
    let mut all = [0; 3];
    for field in UCI_FIELDS {
        let counts = ["forward_fill", "backward_fill", "median"].map(|method| filled(field, method));
        let known = match field {
            "CO(GT)" => [262, 88, 1333],
            "NMHC(GT)" => [16, 12, 8415],
            "NOx(GT)" => [388, 63, 1188],
            "NO2(GT)" => [389, 63, 1190],
            _ => [42, 33, 291],
        };
        assert_eq!(counts, known, "{field}: forward, backward, median");
        all.iter_mut().zip(counts).for_each(|(all, count)| *all += count);
    }
    assert_eq!(all, [16_701 - 15_268, 15_268 - 14_745, 14_745]);
    let missing_nmhc = rows.numbers("NMHC(GT)").iter().filter(|value| **value == 150.0).count();
    assert!(missing_nmhc >= 8415, "the median of NMHC(GT) is 150, and stands in {missing_nmhc} records");
}
