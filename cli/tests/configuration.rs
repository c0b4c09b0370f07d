//! `validate`, `stages` and `schema` as they are typed.

use std::path::Path;

use assert_cmd::Command;

const GOOD: &str = r#"name = "relay"

[source]
type = "kafka"
brokers = "${BROKERS:-localhost:9092}"
topics = ["in"]

[[transform]]
type = "range_check"
ranges = { T = { min = -20.0, max = 50.0 } }

[sink]
type = "kafka"
brokers = "localhost:9092"
topic = "out"
"#;

fn aqpipe(directory: &Path) -> Command {
    let mut command = Command::cargo_bin("aqpipe").expect("the command");
    command.current_dir(directory).env_remove("BROKERS");
    command
}

/// Exit code, standard output and standard error.
fn run(directory: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let output = aqpipe(directory).args(args).output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn files(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, text) in files {
        std::fs::write(directory.path().join(name), text).expect("written");
    }
    directory
}

#[test]
fn validate_says_in_one_line_what_a_good_pipeline_is() {
    let directory = files(&[("relay.toml", GOOD)]);
    let (code, out, err) = run(directory.path(), &["validate", "relay.toml"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert_eq!(out, "relay.toml: ok: relay, kafka -> range_check -> kafka, delivery exactly_once\n");
}

#[test]
fn validate_says_all_that_is_wrong_with_all_files_and_ends_with_78() {
    let bad = GOOD.replace("max = 50.0", "maxx = 50.0").replace("topic = \"out\"\n", "");
    let directory = files(&[("good.toml", GOOD), ("bad.toml", &bad)]);
    let (code, out, err) = run(directory.path(), &["validate", "bad.toml", "none.toml", "good.toml"]);
    assert_eq!(code, Some(78));
    assert!(out.starts_with("good.toml: ok: relay"), "{out}");
    for part in [
        "error: unknown key `maxx` in transform `range_check`\n",
        "10 | ranges = { T = { min = -20.0, maxx = 50.0 } }\n",
        "^^^^ did you mean `max`?\n",
        "error: missing key `topic` in sink `kafka`\n",
        "error: there is no file `none.toml`\n",
    ] {
        assert!(err.contains(part), "{part} is not in\n{err}");
    }
}

#[test]
fn two_files_of_one_name_are_an_error_when_given_together() {
    let directory = files(&[("a.toml", GOOD), ("b.toml", GOOD)]);
    let (code, _, err) = run(directory.path(), &["validate", "a.toml", "b.toml"]);
    assert_eq!(code, Some(78));
    assert!(err.starts_with("error: two pipelines are called `relay`\n"), "{err}");
    assert_eq!(run(directory.path(), &["validate", "a.toml", "b.toml", "--set", "relay:name=other"]).0, Some(78));
}

#[test]
fn what_set_changes_is_validated_with_a_caret_in_it() {
    let directory = files(&[("relay.toml", GOOD)]);
    let (code, _, err) =
        run(directory.path(), &["validate", "relay.toml", "--set", "transform.range_check.on_fail=nul"]);
    assert_eq!(code, Some(78));
    assert!(err.contains("--set transform.range_check.on_fail=nul\n"), "{err}");
    assert!(err.contains("^^^ did you mean `null`?\n"), "{err}");
    let (code, _, err) = run(directory.path(), &["validate", "relay.toml", "--set", "other:name=x"]);
    assert_eq!(code, Some(78));
    assert!(err.starts_with("error: no pipeline given is called `other`\n"), "{err}");
    assert_eq!(run(directory.path(), &["validate", "relay.toml", "--set", "nothing"]).0, Some(78));
}

#[test]
fn the_environment_is_that_of_the_process() {
    let directory = files(&[("relay.toml", &GOOD.replace(":-localhost:9092", ""))]);
    assert_eq!(run(directory.path(), &["validate", "relay.toml"]).0, Some(78));
    aqpipe(directory.path()).args(["validate", "relay.toml"]).env("BROKERS", "there:9092").assert().success();
}

#[test]
fn stages_lists_each_stage_and_shows_one() {
    let directory = files(&[]);
    let (code, out, _) = run(directory.path(), &["stages"]);
    assert_eq!(code, Some(0));
    assert!(out.lines().any(|line| line.starts_with("transform    range_check  ")), "{out}");
    let (code, out, _) = run(directory.path(), &["stages", "kafka"]);
    assert_eq!(code, Some(0));
    for part in [
        "source `kafka`\n",
        "sink `kafka`\n",
        "dead letter `kafka`\n",
        "OPTION ",
        "(required)",
        "[source]\ntype = \"kafka\"\n",
    ] {
        assert!(out.contains(part), "{part} is not in\n{out}");
    }
}

#[test]
fn a_stage_that_is_not_there_is_an_error_of_usage() {
    let directory = files(&[]);
    let (code, out, err) = run(directory.path(), &["stages", "range_chek"]);
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert_eq!(err, "error: there is no stage `range_chek`\nhelp: did you mean `range_check`?\n");
}

#[test]
fn the_schema_is_written_and_a_stale_one_is_named() {
    let directory = files(&[]);
    let (code, out, _) = run(directory.path(), &["schema"]);
    assert_eq!(code, Some(0));
    let (code, _, err) = run(directory.path(), &["schema", "--check"]);
    assert_eq!(code, Some(1));
    assert!(err.starts_with("error: `schemas/pipeline.schema.json` cannot be read"), "{err}");
    assert_eq!(run(directory.path(), &["schema", "--write"]).0, Some(0));
    assert_eq!(run(directory.path(), &["schema", "--check"]), (Some(0), String::new(), String::new()));
    let file = directory.path().join("schemas/pipeline.schema.json");
    assert_eq!(std::fs::read_to_string(&file).expect("there"), out);
    std::fs::write(&file, "{}\n").expect("written");
    let (code, _, err) = run(directory.path(), &["schema", "--check", "--dir", "schemas"]);
    assert_eq!(code, Some(1));
    assert!(err.starts_with("error: `schemas/pipeline.schema.json` is not up to date\n"), "{err}");
}

#[test]
fn no_diagnostic_shows_a_secret_however_it_is_given() {
    let security = "\n[sink.security]\nprotocol = \"sasl_ssl\"\nsasl_mechanism = \"PLAIN\"\nusername = \"u\"\n";
    let cases: [(&str, &[&str]); 11] = [
        ("password = \"hunter2\" oops\n", &[]),
        ("password = \"hunter2\n", &[]),
        ("password = [\"hunter2\"]\n", &[]),
        ("pasword = \"hunter2\"\n", &[]),
        ("password = \"hunter2\"\nkey_password = \"hunter2\"\ncolour = 1\n", &[]),
        ("password = \"${NOT_SET:-hunter2}\"\ncolour = 1\n", &[]),
        ("password = \"p\"\n[sink.librdkafka]\n\"sasl.password\" = \"hunter2\"\n\"ssl.key.pem\" = \"hunter2\"\n", &[]),
        ("password = { a = \"hunter2\" }\n", &[]),
        ("password = \"p\"\n", &["--set", "sink.security.pasword=hunter2"]),
        (
            "password = \"p\"\n",
            &[
                "--set",
                "sink.security.password=[\"hunter2\"]",
                "--set",
                "sink.security={password = \"hunter2\", x = 1}",
            ],
        ),
        ("password = \"p\"\n", &["--set", "sink.security.password:hunter2"]),
    ];
    for (text, set) in cases {
        let directory = files(&[("relay.toml", &format!("{GOOD}{security}{text}"))]);
        let (code, out, err) = run(directory.path(), &[&["validate", "relay.toml"], set].concat());
        assert_eq!(code, Some(78), "{text}{set:?}\n{out}{err}");
        assert!(!err.contains("hunter2") && !out.contains("hunter2"), "{text}{set:?}\n{out}{err}");
    }
}

#[test]
fn a_password_of_the_environment_is_not_shown_where_librdkafka_refuses_it() {
    let text = format!("{GOOD}\n[sink.librdkafka]\n\"ssl.key.pem\" = \"${{BROKERS}}\"\n");
    let directory = files(&[("relay.toml", &text)]);
    let output = aqpipe(directory.path()).args(["validate", "relay.toml"]).env("BROKERS", "hunter2").output();
    let err = String::from_utf8(output.expect("it runs").stderr).expect("UTF-8");
    assert!(!err.contains("hunter2"), "{err}");
}

#[test]
fn an_option_of_the_scripts_is_answered_with_its_key() {
    let directory = files(&[("relay.toml", GOOD)]);
    let (code, _, err) = run(directory.path(), &["run", "relay.toml", "--speed", "5"]);
    assert_eq!(code, Some(2));
    assert!(err.starts_with("error: `--speed` is an option of the Python scripts"), "{err}");
    assert!(err.contains("`--set source.replay.speed=5 --set source.replay.interval_secs=1`"), "{err}");
}
