//! `aqpipe kafka` with a real Apache Kafka: its jars are fetched by Maven into the user's cache, once.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::Message as _;
use rdkafka::admin::AdminClient;
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{Offset, TopicPartitionList};

const TOPIC: &str = "air-quality-data";
/// How long a broker may take for an answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// A Kafka in a directory of its own, which ends with the test however that ends.
struct Kafka {
    dir: tempfile::TempDir,
    port: u16,
}

impl Kafka {
    /// For so many brokers on consecutive ports.
    fn new(brokers: u16) -> Kafka {
        Kafka { dir: tempfile::tempdir().unwrap(), port: free_ports(brokers) }
    }

    fn command(&self, command: &str, args: &[&str]) -> Output {
        let mut aqpipe = Command::new(env!("CARGO_BIN_EXE_aqpipe"));
        aqpipe.args(["kafka", command, "--dir"]).arg(self.dir.path().join("kafka")).args(args).output().unwrap()
    }

    /// Runs a command that must succeed; its standard output.
    fn run(&self, command: &str, args: &[&str]) -> String {
        let output = self.command(command, args);
        assert!(output.status.success(), "{command} {args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn up(&self, args: &[&str]) -> String {
        let port = self.port.to_string();
        self.run("up", &[&["--port", &port], args].concat())
    }

    fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.bootstrap());
        config
    }

    fn pid_file(&self, node: u16) -> PathBuf {
        self.dir.path().join(format!("kafka/node-{node}/pid"))
    }

    fn pid(&self, node: u16) -> String {
        std::fs::read_to_string(self.pid_file(node)).unwrap().lines().next().unwrap().to_owned()
    }

    fn send(&self, text: &str) {
        let producer: BaseProducer = self.client().set("acks", "all").create().unwrap();
        producer.send(BaseRecord::<(), str>::to(TOPIC).partition(0).payload(text)).unwrap();
        producer.flush(REQUEST_TIMEOUT).unwrap();
        assert_eq!(producer.in_flight_count(), 0);
    }

    /// The first record of the first partition.
    fn read(&self) -> String {
        let consumer: BaseConsumer = self.client().set("group.id", "test").create().unwrap();
        let mut partitions = TopicPartitionList::new();
        partitions.add_partition_offset(TOPIC, 0, Offset::Beginning).unwrap();
        consumer.assign(&partitions).unwrap();
        let deadline = Instant::now() + REQUEST_TIMEOUT;
        while Instant::now() < deadline {
            // Errors while it connects pass.
            if let Some(Ok(message)) = consumer.poll(Duration::from_millis(200)) {
                return String::from_utf8(message.payload().unwrap().to_vec()).unwrap();
            }
        }
        panic!("no message within {REQUEST_TIMEOUT:?}");
    }

    /// The partitions of the topic and the copies of its first one.
    fn shape(&self) -> (usize, usize) {
        let client: AdminClient<DefaultClientContext> = self.client().create().unwrap();
        let metadata = client.inner().fetch_metadata(None, REQUEST_TIMEOUT).unwrap();
        let topic = metadata.topics().iter().find(|topic| topic.name() == TOPIC).unwrap();
        (topic.partitions().len(), topic.partitions()[0].replicas().len())
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        let _ = self.command("down", &["--timeout", "20"]);
    }
}

/// The first of so many ports in a row that are free.
fn free_ports(count: u16) -> u16 {
    // Apart from those of the tests that run at once and of their controllers, and below the range that the system
    // gives to outgoing connections.
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let run = u16::try_from(std::process::id() % 60).unwrap();
    let start = 20_000 + run * 200 + NEXT.fetch_add(1, Ordering::Relaxed) * 20;
    (start..32_000)
        .find(|&first| (first..first + 2 * count).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()))
        .expect("free ports in a row")
}

#[test]
#[ignore = "needs Apache Kafka"]
fn a_broker_goes_up_and_down_and_keeps_topic_and_message() {
    let kafka = Kafka::new(1);
    let running = format!("running at {}", kafka.bootstrap());
    let status = kafka.command("status", &[]);
    assert_eq!(status.status.code(), Some(1), "{status:?}");

    let first = kafka.up(&["--property", "log.retention.ms=-1"]);
    assert!(first.contains(&running) && first.contains("created"), "{first}");
    let export = format!("export KAFKA_BROKERS={}\n", kafka.bootstrap().replace("127.0.0.1", "localhost"));
    assert!(first.contains(&export), "{first}");
    let pid = kafka.pid(1);
    let second = kafka.up(&[]);
    assert!(second.contains("already running") && !second.contains("created"), "{second}");
    assert_eq!(kafka.pid(1), pid);
    let status = kafka.run("status", &[]);
    for part in [running.as_str(), &pid, TOPIC, "3 partition(s)"] {
        assert!(status.contains(part), "{part}: {status}");
    }
    assert_eq!(kafka.shape(), (3, 1));
    let other = kafka.run("up", &["--topic", "other", "--partitions", "7"]);
    assert!(other.contains("other, 7 partition(s), created"), "{other}");

    kafka.send("kept");
    assert_eq!(kafka.read(), "kept");
    let down = kafka.run("down", &[]);
    assert!(down.contains("has stopped"), "{down}");
    let status = kafka.command("status", &[]);
    assert_eq!(status.status.code(), Some(1), "{status:?}");
    assert!(String::from_utf8_lossy(&status.stdout).contains("not running"), "{status:?}");
    assert!(kafka.run("down", &[]).contains("not running"));

    // The port is remembered.
    let again = kafka.run("up", &[]);
    assert!(again.contains(&running) && !again.contains("created"), "{again}");
    assert_eq!(kafka.read(), "kept");
}

#[test]
#[ignore = "needs Apache Kafka"]
fn a_process_that_has_the_number_of_a_broker_now_is_left_alone() {
    let kafka = Kafka::new(1);
    kafka.up(&[]);
    kafka.run("down", &[]);
    let mut other = Command::new("sleep").arg("300").spawn().unwrap();
    std::fs::write(kafka.pid_file(1), format!("{}\n1 another-start\n", other.id())).unwrap();
    assert!(kafka.run("down", &[]).contains("not running"));
    let spared = other.try_wait().unwrap().is_none();
    other.kill().unwrap();
    other.wait().unwrap();
    assert!(spared);
}

#[test]
#[ignore = "needs Apache Kafka"]
fn a_property_that_kafka_refuses_is_shown_with_its_last_words() {
    let kafka = Kafka::new(1);
    let port = kafka.port.to_string();
    let up = kafka.command("up", &["--port", &port, "--property", "num.io.threads=none"]);
    let said = String::from_utf8_lossy(&up.stderr);
    assert_eq!(up.status.code(), Some(1), "{said}");
    assert!(said.contains("num.io.threads"), "{said}");
    // And it is not in the way of the next try.
    kafka.up(&["--property", "num.io.threads=4"]);
}

#[test]
#[ignore = "needs Apache Kafka"]
fn three_brokers_survive_the_loss_of_one_and_up_brings_it_back() {
    let kafka = Kafka::new(3);
    let up = kafka.up(&["--brokers", "3"]);
    assert!(up.contains(&format!("127.0.0.1:{}", kafka.port + 2)), "{up}");
    assert_eq!(kafka.shape(), (3, 3));
    kafka.send("kept");

    let (survivor, lost) = (kafka.pid(1), kafka.pid(2));
    assert!(Command::new("kill").args(["-9", &lost]).status().unwrap().success());
    let deadline = Instant::now() + REQUEST_TIMEOUT;
    while kafka.command("status", &[]).status.success() {
        assert!(Instant::now() < deadline, "status still counts the broker that was killed");
    }
    let status = kafka.command("status", &[]);
    assert!(String::from_utf8_lossy(&status.stdout).contains("2 of 3 brokers are running"), "{status:?}");
    assert_eq!(kafka.read(), "kept");

    kafka.run("up", &[]);
    kafka.run("status", &[]);
    assert_eq!(kafka.pid(1), survivor);
    assert_ne!(kafka.pid(2), lost);
    kafka.run("down", &[]);
    kafka.run("up", &[]);
    assert_eq!(kafka.read(), "kept");
}
