//! `validate`, `stages` and `schema`.

use crate::common::TestDir;

const GOOD: &str = r#"name = "relay"

[source]
type = "kafka"
brokers = "${TEST_BROKERS:-localhost:9092}"
topics = ["in"]

[[transform]]
type = "range_check"
ranges = { T = { min = -20.0, max = 50.0 } }

[sink]
type = "kafka"
brokers = "localhost:9092"
topic = "out"
"#;

const VALIDATE: [&str; 2] = ["validate", "relay.toml"];

fn setup() -> TestDir {
    TestDir::with(&[("relay.toml", GOOD)])
}

#[test]
fn validate_says_in_one_line_what_a_good_pipeline_is() {
    let done = setup().run(&VALIDATE).expect(0, &[]);
    assert_eq!(done.err, "");
    assert_eq!(done.out, "relay.toml: ok: relay, kafka -> range_check -> kafka, delivery exactly_once\n");
}

#[test]
fn validate_says_all_that_is_wrong_with_all_files_and_ends_with_78() {
    let bad = GOOD.replace("max = 50.0", "maxx = 50.0").replace("topic = \"out\"\n", "");
    let dir = TestDir::with(&[("good.toml", GOOD), ("bad.toml", &bad)]);
    let done = dir.run(&["validate", "bad.toml", "none.toml", "good.toml"]).expect(
        78,
        &[
            "error: unknown key `maxx` in transform `range_check`\n",
            "10 | ranges = { T = { min = -20.0, maxx = 50.0 } }\n",
            "^^^^ did you mean `max`?\n",
            "error: missing key `topic` in sink `kafka`\n",
            "error: there is no file `none.toml`\n",
        ],
    );
    assert!(done.out.starts_with("good.toml: ok: relay"), "{}", done.out);
}

#[test]
fn two_files_of_one_name_are_an_error_when_given_together() {
    let dir = TestDir::with(&[("a.toml", GOOD), ("b.toml", GOOD)]);
    dir.run(&["validate", "a.toml", "b.toml"]).expect(78, &["error: two pipelines are called `relay`\n"]);
    dir.run(&["validate", "a.toml", "b.toml", "--set", "relay:name=other"]).expect(78, &[]);
}

#[test]
fn what_set_changes_is_validated_with_a_caret_in_it() {
    let set = |set| setup().run(&[&VALIDATE[..], &["--set", set]].concat());
    let caret = ["--set transform.range_check.on_fail=nul\n", "^^^ did you mean `null`?\n"];
    set("transform.range_check.on_fail=nul").expect(78, &caret);
    set("other:name=x").expect(78, &["error: no pipeline given is called `other`\n"]);
    set("nothing").expect(78, &[]);
}

#[test]
fn the_environment_is_that_of_the_process() {
    let dir = TestDir::with(&[("relay.toml", &GOOD.replace(":-localhost:9092", ""))]);
    dir.run(&VALIDATE).expect(78, &[]);
    dir.run_with_env(&VALIDATE, &[("TEST_BROKERS", "there:9092")]).expect(0, &[]);
}

#[test]
fn stages_lists_each_stage_and_shows_one() {
    let list = TestDir::new().run(&["stages"]).expect(0, &[]).out;
    assert!(list.lines().any(|line| line.starts_with("transform    range_check  ")), "{list}");
    let page = TestDir::new().run(&["stages", "kafka"]).expect(0, &[]).out;
    for part in [
        "source `kafka`\n",
        "sink `kafka`\n",
        "dead letter `kafka`\n",
        "OPTION ",
        "(required)",
        "[source]\ntype = \"kafka\"\n",
    ] {
        assert!(page.contains(part), "{part} is not in\n{page}");
    }
}

#[test]
fn a_stage_that_is_not_there_is_an_error_of_usage() {
    let near = "error: no stage `range_chek` in this build\nhelp: did you mean `range_check`? ";
    let done = TestDir::new().run(&["stages", "range_chek"]).expect(2, &[near]);
    assert_eq!(done.out, "");
}

#[test]
fn a_stage_of_a_crate_that_is_not_linked_is_told_as_such() {
    let link = "a build whose `main.rs` has `use CRATE as _;`";
    TestDir::new().run(&["stages", "hampel"]).expect(2, &["error: no stage `hampel` in this build\n", link]);
    let dir = TestDir::with(&[("relay.toml", &GOOD.replace("range_check", "hampel"))]);
    dir.run(&VALIDATE).expect(78, &["error: no transform `hampel` in this build\n", link]);
}

#[test]
fn the_schema_is_written_and_a_stale_one_is_named() {
    let dir = TestDir::new();
    let schema = dir.run(&["schema"]).expect(0, &[]).out;
    let file = "schemas/pipeline.schema.json";
    dir.run(&["schema", "--check"]).expect(1, &[&format!("error: `{file}` cannot be read")]);
    dir.run(&["schema", "--write"]).expect(0, &[]);
    let done = dir.run(&["schema", "--check"]).expect(0, &[]);
    assert_eq!((done.out, done.err), (String::new(), String::new()));
    assert_eq!(dir.read(file), schema);
    dir.write(file, "{}\n");
    let stale = format!("error: `{file}` is not up to date\n");
    dir.run(&["schema", "--check", "--dir", "schemas"]).expect(1, &[&stale]);
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
        let dir = TestDir::with(&[("relay.toml", &format!("{GOOD}{security}{text}"))]);
        let done = dir.run(&[&["validate", "relay.toml"], set].concat());
        assert_eq!(done.code, Some(78), "{text}{set:?}\n{done:?}");
        assert!(!(done.out + &done.err).contains("hunter2"), "{text}{set:?}");
    }
}

#[test]
fn a_password_of_the_environment_is_not_shown_where_librdkafka_refuses_it() {
    let text = format!("{GOOD}\n[sink.librdkafka]\n\"ssl.key.pem\" = \"${{TEST_BROKERS}}\"\n");
    let dir = TestDir::with(&[("relay.toml", &text)]);
    let done = dir.run_with_env(&VALIDATE, &[("TEST_BROKERS", "hunter2")]);
    assert!(!done.err.contains("hunter2"), "{}", done.err);
}

#[test]
fn an_option_of_the_scripts_is_answered_with_its_key() {
    setup().run(&["run", "relay.toml", "--speed", "5"]).expect(
        2,
        &[
            "error: `--speed` is an option of the Python scripts",
            "`--set source.replay.speed=5 --set source.replay.interval_secs=1`",
        ],
    );
}
