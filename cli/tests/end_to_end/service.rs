//! What a service manager is told (`sd_notify(3)`), and the files of `deploy/`.

use std::collections::BTreeMap;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::TestDir;

/// Paced, so that it runs for some seconds.
const JOB: &str = r#"name = "job"

[source]
type = "sample"
records = 100000
replay = { speed = 100.0, interval_secs = 1.0 }

[sink]
type = "null"
"#;

/// The messages that come to a socket until `is_last`.
fn messages(socket: &UnixDatagram, is_last: impl Fn(&str) -> bool) -> Vec<String> {
    socket.set_read_timeout(Some(Duration::from_secs(60))).expect("set");
    let mut all: Vec<String> = Vec::new();
    let mut buffer = [0; 4096];
    let began = Instant::now();
    loop {
        let count = socket.recv(&mut buffer).unwrap_or_else(|error| panic!("{error} after {all:?}"));
        let text = String::from_utf8_lossy(&buffer[..count]).trim_end().to_owned();
        all.push(text);
        if all.last().is_some_and(|last| is_last(last)) {
            return all;
        }
        assert!(began.elapsed() < Duration::from_secs(120), "it does not come: {all:?}");
    }
}

#[test]
fn a_service_manager_is_told_that_the_pipeline_runs_how_it_does_that_it_lives_and_that_it_stops() {
    let dir = TestDir::with(&[("job.toml", JOB)]);
    let path = dir.path("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    let path = path.to_str().expect("UTF-8");
    let running = dir.start_with_env(&["run", "job.toml"], &[("NOTIFY_SOCKET", path), ("WATCHDOG_USEC", "1000000")]);
    let before = messages(&socket, |last| last == "READY=1");
    assert!(before.iter().all(|one| !one.starts_with("STOPPING")), "{before:?}");
    messages(&socket, |last| last == "WATCHDOG=1");
    let is_status = |one: &str| one.starts_with("STATUS=job: ") && one.contains(" records/s read, ");
    messages(&socket, is_status);
    running.terminate();
    let after = messages(&socket, |last| last == "STOPPING=1");
    assert!(!after.contains(&"READY=1".to_owned()), "once is enough: {after:?}");
    running.wait().expect(0, &["job: stopped; the next start goes on from here\n"]);
}

#[test]
fn a_service_with_nothing_to_do_was_ready_and_one_that_fails_at_its_start_never_was() {
    let short = JOB.replace("100000", "10").replace("replay", "# replay");
    let dir = TestDir::with(&[("job.toml", &short)]);
    let path = dir.path("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    let env = [("NOTIFY_SOCKET", path.to_str().expect("UTF-8"))];
    for _ in 0..2 {
        dir.run_with_env(&["run", "job.toml"], &env).expect(0, &[]);
        let told = messages(&socket, |last| last == "STOPPING=1");
        assert!(told.contains(&"READY=1".to_owned()), "{told:?}");
        // The status behind it.
        messages(&socket, |last| last.starts_with("STATUS="));
    }
    dir.run_with_env(&["run", "job.toml", "--set", "state_dir=job.toml"], &env).expect(1, &[]);
    let told = messages(&socket, |last| last == "STOPPING=1");
    assert!(!told.contains(&"READY=1".to_owned()), "{told:?}");
    let nowhere = [("NOTIFY_SOCKET", "/nowhere/at/all")];
    let done = dir.run_with_env(&["run", "job.toml", "--rerun"], &nowhere).expect(0, &["job: done\n"]);
    assert_eq!(done.err.matches("NOTIFY_SOCKET cannot be told").count(), 1, "{}", done.err);
}

/// A file of the workspace.
fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The values of a unit file by their keys; a key is there once.
fn unit(text: &str) -> BTreeMap<&str, &str> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('=')).collect()
}

/// Seconds that a stop may take, unless a pipeline says otherwise.
fn shutdown_timeout_secs() -> f64 {
    aqpipe_engine::config::Settings::default().shutdown_timeout_secs
}

#[test]
fn the_unit_of_systemd_is_accepted_and_fits_the_command() {
    let text = file("deploy/aqpipe.service");
    let unit = unit(&text);
    assert_eq!(unit["Type"], "notify");
    let args: Vec<&str> = unit["ExecStart"].split(' ').collect();
    let [_, "run", pipeline] = args[..] else { panic!("{args:?}") };
    assert!(unit["TimeoutStopSec"].parse::<f64>().expect("seconds") > shutdown_timeout_secs());
    // A failure alone is worth another try.
    assert_eq!(unit["RestartPreventExitStatus"], "2 65 78");
    let logrotate = file("deploy/aqpipe.logrotate");
    assert!(logrotate.contains(&format!("{}/*.log", unit["WorkingDirectory"])), "{logrotate}");
    let docs = file("docs/service.md");
    assert!(docs.contains(pipeline), "docs/service.md puts the pipeline where the unit looks for it");

    let dir = TestDir::new();
    let binary = env!("CARGO_BIN_EXE_aqpipe");
    dir.write("aqpipe.service", text.replace("/usr/local/bin/aqpipe", binary));
    let Ok(verified) = Command::new("systemd-analyze").arg("verify").arg(dir.path("aqpipe.service")).output() else {
        eprintln!("left out: the unit is not verified, for there is no systemd-analyze");
        return;
    };
    let said = String::from_utf8_lossy(&verified.stderr);
    // Other units of the machine are looked at as well.
    let own: Vec<&str> = said.lines().filter(|line| line.contains("aqpipe.service")).collect();
    assert!(own.is_empty(), "{own:?}");
}

#[test]
fn the_image_is_built_as_readme_says() {
    let (docker, readme) = (file("deploy/Dockerfile"), file("README.md"));
    let (_, packages) = readme.split_once("`apt-get install ").expect("README names the packages");
    let packages = packages.split('`').next().expect("they end");
    assert!(docker.contains(&format!("--no-install-recommends {packages}\n")), "{packages}");
    let manifest = file("Cargo.toml");
    let rust = manifest.lines().find_map(|line| line.strip_prefix("rust-version = \"")).expect("a version");
    assert!(docker.contains(&format!("FROM rust:{}-", rust.trim_end_matches('"'))), "{rust}");
    assert!(
        file("CONTRIBUTING.md").contains("cargo build --release ") && docker.contains("RUN cargo build --release ")
    );
    let docs = file("docs/service.md");
    let (build, _) = docs.split_once("\ndocker run").expect("docs/service.md runs it");
    let build = build.lines().last().expect("and builds it before");
    assert!(docker.starts_with(&format!("# {build}\n")), "{build}");
}

#[test]
fn the_manifest_of_kubernetes_is_yaml_and_its_pipeline_is_valid() {
    let text = file("deploy/kubernetes.yaml");
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text).expect("YAML");
    let kinds: Vec<&str> = documents.iter().filter_map(|document| document["kind"].as_str()).collect();
    assert_eq!(kinds, ["ConfigMap", "Service", "StatefulSet"]);
    let pod = &documents[2]["spec"]["template"]["spec"];
    assert!(pod["terminationGracePeriodSeconds"].as_f64().expect("seconds") > shutdown_timeout_secs());
    let container = &pod["containers"][0];
    for (probe, path) in [("livenessProbe", "/health"), ("readinessProbe", "/ready")] {
        assert_eq!(container[probe]["httpGet"], serde_json::json!({ "path": path, "port": "http" }));
    }
    assert_eq!(container["ports"][0]["containerPort"], 9600);
    let pipeline = documents[0]["data"]["pipeline.toml"].as_str().expect("a pipeline");
    assert!(pipeline.contains("http = \"0.0.0.0:9600\"\nhttp_allow_remote = true\n"), "{pipeline}");
    let dir = TestDir::with(&[("pipeline.toml", pipeline)]);
    let mut command = dir.command(&["validate", "pipeline.toml"], &[]);
    command.env("HOSTNAME", "aqpipe-0").env("KAFKA_BROKERS", "kafka:9092");
    let validated = command.output().expect("starts");
    assert!(validated.status.success(), "{}", String::from_utf8_lossy(&validated.stderr));
    let args: Vec<&str> = container["args"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    assert_eq!(args, ["run", "/etc/aqpipe/pipeline.toml", "--log-json"]);
}
