//! What `aqpipe kafka` says when something is missing or in the way. No Kafka, Java or Maven is needed.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

const JAVA_17: &str = r#"echo 'openjdk version "17.0.1" 2021-10-19' >&2"#;
const JAVA_8: &str = r#"echo 'java version "1.8.0_392"' >&2"#;
/// Formats, and then is a broker that ends at once.
const DYING_JAVA: &str = r#"
case "$*" in
  -version) echo 'openjdk version "21.0.1" 2023-10-17' >&2 ;;
  *StorageTool*) echo 'cluster.id=fake' > data/meta.properties ;;
  *) echo 'the reason of its death' >&2; exit 3 ;;
esac"#;

/// A machine on which nothing is installed but what the test puts there.
struct Machine(tempfile::TempDir);

impl Machine {
    fn new() -> Machine {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("bin")).unwrap();
        Machine(dir)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn with_program(self, name: &str, script: &str) -> Machine {
        // Another process writes it: a test that starts a program at this moment would inherit our open file, and a
        // file that is open for writing cannot be run.
        let written = Command::new("/bin/sh")
            .args(["-c", r#"printf '#!/bin/sh\n%s\n' "$1" > "$2" && chmod +x "$2""#, "sh", script])
            .arg(self.path().join("bin").join(name))
            .status();
        assert!(written.unwrap().success());
        self
    }

    fn with_kafka(self, version: &str) -> Machine {
        let libs = self.path().join("kafka/libs");
        fs::create_dir_all(&libs).unwrap();
        fs::write(libs.join(format!("kafka_2.13-{version}.jar")), "").unwrap();
        self
    }

    fn kafka(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_aqpipe"))
            .env_clear()
            .env("PATH", self.path().join("bin"))
            .env("AQPIPE_CACHE_DIR", self.path().join("cache"))
            .current_dir(self.path())
            .arg("kafka")
            .args(args)
            .output()
            .unwrap()
    }

    /// What `up` says when it fails.
    fn up(&self, args: &[&str]) -> String {
        let output = self.kafka(&[&["up"], args].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(output.stdout.is_empty());
        said
    }
}

/// A port that nobody listens at, given back when it drops.
fn free_port() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string()
}

#[track_caller]
fn assert_says(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "no `{part}` in: {said}");
    }
}

#[test]
fn without_java_the_error_says_how_to_get_it() {
    let said = Machine::new().up(&["--port", &free_port()]);
    assert_says(&said, &["error: no Java was found", "help: ", "Java 17", "apt install", "JAVA_HOME"]);
}

#[test]
fn a_java_that_is_too_old_is_named_with_its_version() {
    let said = Machine::new().with_program("java", JAVA_8).up(&["--port", &free_port()]);
    assert_says(&said, &["bin/java` is Java 8, which is too old", "help: ", "Java 17"]);
}

#[test]
fn a_java_that_names_no_version_is_an_error_with_its_words() {
    let said = Machine::new().with_program("java", "echo no runtime >&2; exit 1").up(&["--port", &free_port()]);
    assert_says(&said, &["names no version: no runtime", "help: "]);
}

#[test]
fn without_kafka_and_maven_the_error_names_both_ways_out() {
    let said = Machine::new().with_program("java", JAVA_17).up(&["--port", &free_port()]);
    assert_says(&said, &["neither Apache Kafka nor Maven", "apt install maven", "--kafka-home", "kafka.apache.org"]);
}

#[test]
fn a_failing_maven_is_quoted_and_leaves_nothing_that_looks_complete() {
    let machine = Machine::new()
        .with_program("java", JAVA_17)
        .with_program("mvn", "echo '[ERROR] Could not transfer artifact'; exit 1");
    for _ in 0..2 {
        let said = machine.up(&["--port", &free_port()]);
        assert_says(&said, &["fetching Apache Kafka", "[ERROR] Could not transfer artifact", "settings.xml"]);
    }
    assert!(!machine.path().join("cache/kafka-4.3.1").exists());
}

#[test]
fn a_maven_that_brings_too_little_leaves_nothing_that_looks_complete() {
    let machine = Machine::new().with_program("java", JAVA_17).with_program("mvn", "exit 0");
    assert_says(&machine.up(&["--port", &free_port()]), &["Maven brought no kafka_2.13-4.3.1.jar"]);
    assert!(!machine.path().join("cache/kafka-4.3.1").exists());
}

#[test]
fn a_kafka_home_without_kafka_is_named() {
    let machine = Machine::new().with_program("java", JAVA_17);
    let said = machine.up(&["--port", &free_port(), "--kafka-home", "nowhere"]);
    assert_says(&said, &["no Apache Kafka in", "nowhere", "help: "]);
}

#[test]
fn an_old_kafka_is_named_with_its_version() {
    let machine = Machine::new().with_program("java", JAVA_17).with_kafka("3.9.1");
    let said = machine.up(&["--port", &free_port(), "--kafka-home", "kafka"]);
    assert_says(&said, &["Apache Kafka 3.9.1", "too old", "Apache Kafka 4"]);
}

#[test]
fn a_port_in_use_is_named_before_anything_is_looked_for() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let said = Machine::new().up(&["--port", &port]);
    assert_says(&said, &[&format!("port {port} is in use"), "--port"]);
}

#[test]
fn a_broker_that_dies_at_start_is_quoted() {
    let machine = Machine::new().with_program("java", DYING_JAVA).with_kafka("4.3.1");
    let said = machine.up(&["--port", &free_port(), "--kafka-home", "kafka"]);
    assert_says(&said, &["broker 1 ended while it started", "the reason of its death", "node-1/broker.log"]);
    assert!(!machine.path().join(".aqpipe/kafka/node-1/pid").exists());
}

#[test]
fn a_directory_that_java_could_not_take_is_refused() {
    let machine = Machine::new().with_program("java", DYING_JAVA).with_kafka("4.3.1");
    let said = machine.up(&["--port", &free_port(), "--kafka-home", "kafka", "--dir", "a,b"]);
    assert_says(&said, &["a,b", "no comma"]);
}

#[test]
fn a_file_in_the_place_of_the_directory_is_named() {
    let machine = Machine::new();
    fs::write(machine.path().join("file"), "").unwrap();
    assert_says(&machine.up(&["--dir", "file/kafka"]), &["cannot make the directory", "file/kafka", "--dir"]);
}

#[test]
fn where_nothing_was_started_status_and_down_say_so_and_make_no_directory() {
    let machine = Machine::new();
    for (command, code) in [("status", 1), ("down", 0)] {
        let output = machine.kafka(&[command]);
        assert_eq!(output.status.code(), Some(code));
        assert_says(&String::from_utf8(output.stdout).unwrap(), &["Apache Kafka is not running"]);
    }
    assert!(!machine.path().join(".aqpipe").exists());
}
