//! The bare pump: sends and reads messages with librdkafka and nothing else, with the settings of the pipelines.
//! `pipelines.py` compares the pipelines with it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};

/// How long no message may be acknowledged or come before the pump fails.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Parser)]
enum Pump {
    /// Sends the lines of a file repeatedly, until there are enough.
    Out {
        #[arg(long)]
        brokers: String,
        #[arg(long)]
        topic: String,
        /// Messages, one a line.
        #[arg(long)]
        lines: PathBuf,
        #[arg(long)]
        count: u64,
        #[arg(long, default_value = "lz4")]
        compression: String,
    },
    /// Reads so many messages from the beginning.
    In {
        #[arg(long)]
        brokers: String,
        #[arg(long)]
        topic: String,
        #[arg(long)]
        count: u64,
    },
}

fn main() -> Result<()> {
    match Pump::parse() {
        Pump::Out { brokers, topic, lines, count, compression } => {
            let text = std::fs::read(&lines).with_context(|| format!("{} cannot be read", lines.display()))?;
            out(&brokers, &topic, &text, count, &compression)
        }
        Pump::In { brokers, topic, count } => read(&brokers, &topic, count),
    }
}

fn out(brokers: &str, topic: &str, text: &[u8], count: u64, compression: &str) -> Result<()> {
    let producer: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("enable.idempotence", "true")
        .set("compression.type", compression)
        .set("linger.ms", "5")
        .set("message.timeout.ms", "0")
        .set("partitioner", "murmur2_random")
        .create()?;
    let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    if lines.is_empty() {
        bail!("no messages to send");
    }
    for line in lines.iter().cycle().take(count as usize) {
        let mut record = BaseRecord::to(topic).key("uci").payload(*line);
        while let Err((error, back)) = producer.send(record) {
            match error {
                KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) => {
                    std::thread::sleep(Duration::from_millis(1));
                    record = back;
                }
                error => return Err(error.into()),
            }
        }
    }
    producer.flush(IDLE_TIMEOUT)?;
    Ok(())
}

fn read(brokers: &str, topic: &str, count: u64) -> Result<()> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", format!("pump-{}", std::process::id()))
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .set("fetch.queue.backoff.ms", "10")
        .create()?;
    consumer.subscribe(&[topic])?;
    let (mut seen, mut bytes, mut last) = (0u64, 0u64, Instant::now());
    while seen < count {
        match consumer.poll(Duration::from_millis(100)) {
            Some(message) => {
                bytes += message?.payload().map_or(0, <[u8]>::len) as u64;
                seen += 1;
                last = Instant::now();
            }
            None if last.elapsed() > IDLE_TIMEOUT => bail!("only {seen} of {count} messages came, {bytes} bytes"),
            None => {}
        }
    }
    Ok(())
}
