//! Reads the dead letters in a topic.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aqpipe_engine::record::Origin;
use aqpipe_engine::stage::{BuildContext, DeadLetterId, DeadLetterReader, StoredDeadLetter};
use aqpipe_engine::{Error, Result};
use aqpipe_librdkafka::topic_ids;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use serde::{Deserialize, Serialize};

use super::connection_monitor::ConnectionMonitor;
use super::endpoint::KafkaEndpoint;
use super::error_class::is_transient;
use super::metadata_client::metadata_client;

/// How long brokers may be silent.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
const POLL_TIMEOUT: Duration = Duration::from_millis(100);
/// How long brokers may take to tell the id of the topic.
const TOPIC_ID_TIMEOUT: Duration = Duration::from_secs(5);

/// Reads the dead letters that are committed in a topic now.
pub(crate) struct DeadLetterTopicReader {
    endpoint: KafkaEndpoint,
    topic: String,
    monitor: Arc<ConnectionMonitor>,
}

impl DeadLetterTopicReader {
    pub(crate) fn new(endpoint: KafkaEndpoint, topic: &str, cx: &BuildContext) -> DeadLetterTopicReader {
        let monitor = Arc::new(ConnectionMonitor::new(cx, endpoint.brokers()));
        DeadLetterTopicReader { endpoint, topic: topic.to_owned(), monitor }
    }
}

impl DeadLetterReader for DeadLetterTopicReader {
    fn each(&mut self, take: &mut dyn FnMut(StoredDeadLetter) -> Result<()>) -> Result<()> {
        let failed = |error: KafkaError| {
            Error::new(format!("the topic of dead letters `{}` cannot be read", self.topic)).because(error)
        };
        let mut config = self.endpoint.client_config();
        config.set("group.id", "aqpipe-dead-letters").set("enable.auto.commit", "false");
        config.set("isolation.level", "read_committed").set("enable.partition.eof", "true");
        let consumer = metadata_client(&config, &self.monitor)?;
        let metadata = consumer.fetch_metadata(Some(&self.topic), ANSWER_TIMEOUT).map_err(failed)?;
        // Brokers before 2.8 give topics no ids.
        let topic_id = topic_ids(consumer.client(), &[&self.topic], TOPIC_ID_TIMEOUT)
            .ok()
            .and_then(|mut ids| ids.remove(&self.topic));
        let topic_id = topic_id.map(|id| id.to_string());
        if let Some(error) = metadata.topics().first().and_then(rdkafka::metadata::MetadataTopic::error) {
            return Err(failed(KafkaError::MetadataFetch(error.into())));
        }
        let partitions = metadata.topics().first().map_or(&[][..], |topic| topic.partitions());
        let mut ends: BTreeMap<i32, i64> = BTreeMap::new();
        let mut from = TopicPartitionList::new();
        for partition in partitions.iter().map(rdkafka::metadata::MetadataPartition::id) {
            let (low, high) = consumer.fetch_watermarks(&self.topic, partition, ANSWER_TIMEOUT).map_err(failed)?;
            if high > low {
                ends.insert(partition, high);
                from.add_partition_offset(&self.topic, partition, Offset::Offset(low)).map_err(failed)?;
            }
        }
        consumer.assign(&from).map_err(failed)?;
        let mut last_message = Instant::now();
        while !ends.is_empty() {
            match consumer.poll(POLL_TIMEOUT) {
                Some(Ok(message)) => {
                    last_message = Instant::now();
                    let (partition, offset) = (message.partition(), message.offset());
                    if ends.get(&partition).is_some_and(|end| offset < *end) {
                        take(StoredDeadLetter { container_id: topic_id.clone(), ..letter(&message) })?;
                    }
                    if ends.get(&partition).is_some_and(|end| offset + 1 >= *end) {
                        ends.remove(&partition);
                    }
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    ends.remove(&partition);
                }
                // The client is no member of the group that it names, and needs no right to it.
                Some(Err(error)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::GroupAuthorizationFailed) => {}
                Some(Err(error)) if !error.rdkafka_error_code().is_some_and(is_transient) => return Err(failed(error)),
                _ if last_message.elapsed() > ANSWER_TIMEOUT => {
                    return Err(Error::new(format!("the topic of dead letters `{}` does not answer", self.topic)));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn letter(message: &BorrowedMessage<'_>) -> StoredDeadLetter {
    let mut headers = headers(message);
    let mut header = |name: &str| headers.remove(name).unwrap_or_default();
    let raw = message.payload().map(<[u8]>::to_vec);
    let whole = header("aqpipe.length").is_empty();
    let merged = split_records(&header(RECORDS_HEADER), raw.as_deref().filter(|_| whole).unwrap_or_default());
    let (raw, records) = match merged {
        Some(records) => (None, records),
        None => (raw, Vec::new()),
    };
    StoredDeadLetter {
        id: DeadLetterId {
            container: format!("{}/{}", message.topic(), message.partition()),
            index: message.offset().max(0) as u64,
            separator: '@',
        },
        container_id: None,
        pipeline: header("aqpipe.pipeline"),
        split: header("aqpipe.split"),
        position: header("aqpipe.position"),
        place: header("aqpipe.place"),
        stage: header("aqpipe.stage"),
        reason: header("aqpipe.reason"),
        time: message
            .timestamp()
            .to_millis()
            .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
            .map(|time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
        raw,
        whole,
        raw_schema: Some(header("aqpipe.form")).filter(|form| !form.is_empty()),
        part: Some(header("aqpipe.part")).filter(|part| !part.is_empty()),
        records,
    }
}

/// The header that tells the records of a merged row apart, as JSON.
pub(crate) const RECORDS_HEADER: &str = "aqpipe.records";
/// What stands between the records of a merged row in the value of its dead letter.
const RECORDS_SEPARATOR: &[u8] = b"\n";

/// One of the records of a merged row: where it starts, which part of it, and how many bytes of the value it has.
#[derive(Deserialize, Serialize)]
struct RecordHeader {
    position: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    part: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    length: Option<usize>,
}

/// The records of a merged row as one value, and the header that tells them apart.
pub(crate) fn join_records(records: &[Origin]) -> (String, Vec<u8>) {
    let header = |record: &Origin| RecordHeader {
        position: record.source_offset,
        part: record.part.clone(),
        length: record.raw.as_ref().map(Vec::len),
    };
    let headers: Vec<RecordHeader> = records.iter().map(header).collect();
    let raw: Vec<&[u8]> = records.iter().filter_map(|record| record.raw.as_deref()).collect();
    (serde_json::to_string(&headers).unwrap_or_default(), raw.join(RECORDS_SEPARATOR))
}

/// The records that [`join_records`] joined; `None` where the value is not one of theirs.
fn split_records(header: &str, mut value: &[u8]) -> Option<Vec<Origin>> {
    let headers: Vec<RecordHeader> = serde_json::from_str(header).ok()?;
    let mut records = Vec::with_capacity(headers.len());
    for RecordHeader { position, part, length } in headers {
        let raw = match length {
            None => None,
            Some(length) => {
                let is_first = records.iter().all(|record: &Origin| record.raw.is_none());
                let rest = if is_first { value } else { value.strip_prefix(RECORDS_SEPARATOR)? };
                let (raw, rest) = rest.split_at_checked(length)?;
                value = rest;
                Some(raw.to_vec())
            }
        };
        records.push(Origin { source_offset: position, part, raw });
    }
    (!records.is_empty() && value.is_empty()).then_some(records)
}

/// The headers of a message. Any program may have written it: a name that is not UTF-8 makes rdkafka panic, and the
/// message then counts as one without headers.
fn headers(message: &BorrowedMessage<'_>) -> BTreeMap<String, String> {
    let read = AssertUnwindSafe(|| {
        let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
        headers
            .map(|header| {
                let value = String::from_utf8_lossy(header.value.unwrap_or_default()).into_owned();
                (header.key.to_owned(), value)
            })
            .collect()
    });
    catch_unwind(read).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_records_of_a_merged_row_come_back_as_they_were_joined() {
        let record = |at: u64, raw: Option<&str>| Origin {
            source_offset: at,
            part: (at == 7).then(|| "H03".to_owned()),
            raw: raw.map(|raw| raw.as_bytes().to_vec()),
        };
        let records = vec![record(3, Some("a\nb")), record(7, Some("")), record(9, None), record(11, Some("c"))];
        let (header, value) = join_records(&records);
        assert_eq!(split_records(&header, &value), Some(records));
        assert_eq!(split_records(&header, &value[1..]), None, "cut off");
        assert_eq!(split_records("", b"a record"), None);
        assert_eq!(split_records("[{\"position\":1,\"length\":18446744073709551615}]", b"a"), None);
    }
}
