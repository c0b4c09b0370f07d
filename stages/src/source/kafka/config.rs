//! The configuration of the Kafka source.

use std::collections::BTreeMap;
use std::sync::Arc;

use aqpipe_engine::record::Fields;
use aqpipe_engine::stage::{Boundedness, BuildContext, DeadLetterDecoder, Descriptor, Problem, Source, SourceConfig};
use aqpipe_engine::{Error, Result};
use schemars::JsonSchema;
use serde::Deserialize;

use super::dead_letter_decoder::MessageDeadLetterDecoder;
use super::message_config::{MessageConfig, MessageFormat, OtherProperties};
use super::settings::{Assignment, Settings, StartOffset, Tombstones};
use super::source::KafkaSource;
use crate::kafka::endpoint::{EndpointOptions, KafkaEndpoint};
use crate::kafka::properties::{ClientKind, Properties, ReservedProperty};
use crate::kafka::security::Security;
use crate::kafka::topic_options::check_topic;
use crate::kafka::transactions::{Participant, ParticipantKind, TransactionManager, TransactionOptions};
use crate::reading::time::{TimestampOptions, Zone};
use crate::reading::{
    CellReport, Censored, FlagOptions, KeyOptions, MarkVerdict, NumberOptions, SampleRules, Sentinel, Thousands,
    UnreadableAction,
};

const EXAMPLE: &str = "\
brokers = \"localhost:9092\"
topics = [\"air-quality-data\"]
group = \"air-quality-processors\"
start = \"earliest\"
key = \"station\"
";

inventory::submit! { Descriptor::source::<KafkaSourceConfig>("kafka", EXAMPLE) }

/// Reads records from Kafka topics, each a JSON object: the timestamp, the key, and the fields by name; what an
/// earlier pipeline noted of their quality in `quality` is read back. `NaN` and `Infinity` are read as null. With
/// `format = "csv"` a message is a row of cells.
///
/// A name is that of a property. Where a record has no such property, a name with dots is a path into objects (`fields.pm25`,
/// `sensors.0.value`); a JSON Pointer (`/fields/pm25`) always is one. With `fields` or `text_fields`, what nobody asked for never
/// fails a record: objects and arrays are passed over and counted, and other values come along as fields (see `others`).
///
/// Each partition is a split. Instances with one group share the partitions; when one of them dies, the others take its
/// partitions over once the group has missed it for `session_timeout_secs`, and go on with the state it had committed
/// last: the group's offsets, that state and the output are committed together. Only records of committed transactions are
/// read. A message that is no such record (no JSON, no object, no timestamp) becomes a dead letter.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KafkaSourceConfig {
    /// The brokers to ask first, separated by commas: `host:port`.
    brokers: String,
    /// The topics.
    #[schemars(length(min = 1))]
    topics: Vec<String>,
    /// The consumer group. Absent, the pipeline's name.
    #[serde(default)]
    group: Option<String>,
    /// Where a partition begins that the group has not begun with: at its `earliest` record, or at the `latest`, which is
    /// where it ended when the group first met the topic. A partition that is added later is read from its first record.
    #[serde(default)]
    start: StartOffset,
    /// Stop once the group has read what is there, instead of waiting for more: this instance's partitions up to the ends that
    /// they had when they were assigned, and those of other members up to the ends that they had by then. The partitions of a
    /// member that died come to this one; one that lives and commits nothing is waited for twice `session_timeout_secs`.
    #[serde(default)]
    until_end: bool,
    /// How partitions move when members of the group come and go: `eager`, all of them stop for a moment; or `cooperative`,
    /// only those that move do. All members of a group have the same; `docs/delivery.md` says how to change it.
    #[serde(default)]
    assignment: Assignment,
    /// Keep this instance's partitions for it while it restarts, for up to `session_timeout_secs`: at a stop it does not
    /// leave the group. Needs an `instance` of its own for each member, in the pipeline or by `--set`.
    #[serde(default)]
    static_membership: bool,
    /// Seconds after which the group gives a silent member's partitions to others. Brokers refuse less than 6 unless
    /// they are told otherwise.
    #[serde(default = "session_timeout_secs")]
    #[schemars(range(min = 1, max = 1800))]
    session_timeout_secs: u32,
    /// What a message is: "json", an object; or "csv", a row of cells, whose columns `columns` names.
    #[serde(default)]
    format: MessageFormat,
    /// Where the time of a record is, and how it is written: a property's name, or a table.
    #[serde(default)]
    timestamp: TimestampOptions,
    /// The clock of timestamps that have no offset of their own: "UTC", a fixed offset such as "+01:00", or a zone such as
    /// "Europe/Rome". Absent, such records become dead letters. A time that the clock of a zone shows twice goes by the order of
    /// the records of its key, else by `ambiguous` of `timestamp`; one that it never shows makes a dead letter.
    #[serde(default)]
    timezone: Option<String>,
    /// The key of the records, such as the station: a property, several of them together, the key of the message, or a value
    /// for all. One key is one series. Absent, records have no key.
    #[serde(default)]
    key: Option<KeyOptions>,
    /// The fields that are measurements, in order. Others are added as they appear (see `others`).
    #[serde(default)]
    fields: Vec<String>,
    /// The fields that are text, behind `fields`.
    #[serde(default)]
    text_fields: Vec<String>,
    /// What becomes of numbers and texts that `fields` and `text_fields` do not name: "keep", they are fields, too; "ignore",
    /// they are not.
    #[serde(default)]
    others: OtherProperties,
    /// Other names for properties: the message's name or path = the name that is meant everywhere else, in these options too.
    #[serde(default)]
    rename: BTreeMap<String, String>,
    /// The property that is the record, where messages are envelopes: `payload`, `payload.after`. All other names are those of
    /// properties in it. A message in which it is null is a tombstone.
    #[serde(default)]
    #[schemars(length(min = 1))]
    record: Option<String>,
    /// What becomes of messages without a value, which tell of a key that there is nothing any more: "skip", they are
    /// counted; or "dead_letter".
    #[serde(default)]
    tombstones: Tombstones,
    /// The names of the columns of `format = "csv"`, in order; "" for one to be ignored.
    #[serde(default)]
    columns: Vec<String>,
    /// The character between columns of `format = "csv"`. Absent: ",".
    #[serde(default)]
    delimiter: Option<char>,
    /// The character around cells of `format = "csv"` that hold delimiters. Absent: "\"". Empty = there are none.
    #[serde(default)]
    #[schemars(length(max = 1))]
    quote: Option<String>,
    /// The character between the whole and the fraction of numbers that are written as text: "." or ",".
    #[serde(default = "point")]
    decimal: char,
    /// The character between groups of three digits: ".", ",", " " (thin and no-break blanks too), "'" or "" for none.
    #[serde(default)]
    thousands: Thousands,
    /// Numbers and words that stand for "no value" of measurements, beside null, an empty text and the usual words: numbers compare
    /// by value, words letter by letter. Texts and the key are what stands there.
    #[serde(default)]
    missing: Vec<Sentinel>,
    /// Words of measurements that have a value, such as `{ NR = 0 }` for "no rain"; also one of the usual words for none.
    #[serde(default)]
    words: BTreeMap<String, f64>,
    /// The value of a measurement below a limit, such as `<0.5`: "half" of the limit, the "limit" or "zero". One above a limit
    /// (`>50`) is the limit. Its quality says `censored`. Absent, such cells cannot be read.
    #[serde(default)]
    censored: Option<Censored>,
    /// Marks behind values: `{ "#" = "fail", "*" = "suspect", "x" = "missing", "ug/m3" = "good" }`. A value with a mark that means
    /// `fail` or `missing` is not carried; a mark that means `good` is a unit, and says nothing of its value. A mark may stand behind a limit too (`<0.5U`), where `censored` reads it.
    #[serde(default)]
    value_marks: BTreeMap<String, MarkVerdict>,
    /// The publisher's own verdict on a field, from codes in another property or column: its test is called `source`. A code that
    /// is not listed says nothing, and is logged.
    #[serde(default)]
    flags: BTreeMap<String, FlagOptions>,
    /// What happens where cells of measurements cannot be read: "stop" before the first commit, where they are more than half of a
    /// field's in the first 1,000 records and an option would read them, or where a hundred are there and none can be read; or
    /// "warn".
    #[serde(default)]
    on_unreadable: UnreadableAction,
    /// Where commits are noted, and how long brokers wait for a process that has died in the middle of one.
    #[serde(default)]
    transactions: Option<TransactionOptions>,
    /// Seconds after which a start gives up where no broker has answered. Absent, it waits for one.
    #[serde(default)]
    #[schemars(range(min = 1, max = 86_400))]
    connect_timeout_secs: Option<u32>,
    /// Encryption and identity. Absent, the connection is in plain text.
    #[serde(default)]
    security: Option<Security>,
    /// Any other property of librdkafka by its own name, such as `"fetch.min.bytes" = 100000`.
    #[serde(default)]
    librdkafka: Properties,
}

const fn session_timeout_secs() -> u32 {
    10
}

fn point() -> char {
    '.'
}

const RESERVED_PROPERTIES: &[ReservedProperty] = &[
    ("group.id", "set `group`"),
    ("session.timeout.ms", "set `session_timeout_secs`"),
    ("group.instance.id", "set `static_membership`, and `instance` of the pipeline"),
    ("auto.offset.reset", "set `start`"),
    ("enable.auto.commit", "offsets are committed once their records are written"),
    ("auto.commit.enable", "offsets are committed once their records are written"),
    ("auto.commit.interval.ms", "offsets are committed once their records are written"),
    ("enable.auto.offset.store", "offsets are committed once their records are written"),
    ("offset.store.method", "offsets are kept by the brokers"),
    ("offset.store.path", "offsets are kept by the brokers"),
    ("enable.partition.eof", "set `until_end`"),
    ("consume.callback.max.messages", "the source sets it"),
    ("isolation.level", "only records of committed transactions are read"),
    ("allow.auto.create.topics", "a source creates no topics"),
];

impl SourceConfig for KafkaSourceConfig {
    fn check(&self) -> Result<Fields, Vec<Problem>> {
        let mut problems = self.endpoint_options().check(ClientKind::Consumer, RESERVED_PROPERTIES);
        if self.topics.is_empty() {
            problems.push(Problem::new(["topics"], "no topic is named"));
        }
        for (index, topic) in self.topics.iter().enumerate() {
            let at = index.to_string();
            problems.extend(check_topic(&["topics", &at], topic));
            if self.topics[..index].contains(topic) {
                problems.push(Problem::new(["topics", &at], format!("`{topic}` is named twice")));
            }
        }
        if self.group.as_deref() == Some("") {
            problems.push(Problem::new(["group"], "the group's name is empty").help("leave it out for the pipeline's"));
        }
        let strategy = "partition.assignment.strategy";
        if self.assignment == Assignment::Cooperative && self.librdkafka.get(strategy).is_some() {
            let message = format!("`{strategy}` follows from `assignment = \"cooperative\"`");
            problems.push(Problem::new(["librdkafka", strategy], message).at_key().help("leave it out"));
        }
        problems.extend(self.transactions.as_ref().and_then(TransactionOptions::check));
        let promised = self.messages().check().map_err(|more| problems.extend(more));
        match promised {
            Ok(fields) if !problems.iter().any(|problem| !problem.warning) => Ok(fields),
            _ => Err(problems),
        }
    }

    fn warnings(&self) -> Vec<Problem> {
        self.messages().warnings()
    }

    fn changing_clock(&self) -> Option<String> {
        Zone::parse(self.timezone.as_deref()?)?.changing_clock()
    }

    /// Not even with `until_end`: what is read is committed, so it cannot be surveyed first.
    fn boundedness(&self) -> Boundedness {
        Boundedness::Shared
    }

    fn ends_by_itself(&self) -> bool {
        self.until_end
    }

    fn reads(&self) -> Vec<String> {
        self.topics.iter().map(|topic| format!("kafka:{topic}")).collect()
    }

    fn dead_letter_decoder(&self, cx: &BuildContext) -> Result<Option<Box<dyn DeadLetterDecoder>>> {
        Ok(Some(Box::new(MessageDeadLetterDecoder(self.messages().options(cx)?.decoder()?))))
    }

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Source>> {
        let endpoint = KafkaEndpoint::new(&self.endpoint_options(), cx);
        let transactions = TransactionManager::join(
            cx,
            Participant {
                kind: ParticipantKind::Source,
                stage: Arc::clone(cx.stage()),
                endpoint: endpoint.clone(),
                producer_properties: BTreeMap::new(),
                output_topic: None,
                options: self.transactions.clone(),
            },
        );
        let messages = self.messages();
        let settings = Settings {
            endpoint,
            transactions,
            group: self.group.clone().unwrap_or_else(|| cx.pipeline().to_string()),
            topics: self.topics.clone(),
            start: self.start,
            assignment: self.assignment,
            static_member: self.static_member(cx)?,
            until_end: self.until_end || cx.until_end(),
            session_timeout_secs: self.session_timeout_secs,
            messages: messages.options(cx)?,
            sample: Arc::new(SampleRules {
                numbers: messages.numbers.clone(),
                asked: messages.asked(cx),
                action: self.on_unreadable,
                report: CellReport::new(cx, messages.numbers.clone()),
            }),
            declared: messages.layout().list.iter().map(|field| Arc::clone(&field.name)).collect(),
            tombstones: self.tombstones,
            upstream: Arc::clone(cx.upstream()),
        };
        Ok(Box::new(KafkaSource::new(settings, cx)?))
    }
}

impl KafkaSourceConfig {
    fn endpoint_options(&self) -> EndpointOptions<'_> {
        EndpointOptions {
            brokers: &self.brokers,
            security: self.security.as_ref(),
            properties: &self.librdkafka,
            connect_timeout_secs: self.connect_timeout_secs,
        }
    }

    /// The options that say how messages are read.
    fn messages(&self) -> MessageConfig<'_> {
        MessageConfig {
            format: self.format,
            timestamp: &self.timestamp,
            timezone: self.timezone.as_deref(),
            key: self.key.as_ref(),
            fields: &self.fields,
            text_fields: &self.text_fields,
            others: self.others,
            rename: &self.rename,
            record: self.record.as_deref(),
            columns: &self.columns,
            delimiter: self.delimiter,
            quote: self.quote.as_deref(),
            flags: &self.flags,
            numbers: NumberOptions {
                decimal: self.decimal,
                thousands: self.thousands,
                missing: self.missing.clone(),
                words: self.words.clone(),
                censored: self.censored,
                value_marks: self.value_marks.clone(),
            },
        }
    }

    /// The identity of a static member, which no other member of the group has.
    fn static_member(&self, cx: &BuildContext) -> Result<Option<String>> {
        match (self.static_membership, cx.configured_instance()) {
            (false, _) => Ok(None),
            (true, Some(instance)) => Ok(Some(format!("aqpipe.{}.{instance}", cx.pipeline()))),
            (true, None) => Err(Error::config("`static_membership` needs an `instance`")
                .help("give each member of the group its own: `instance` in the pipeline, or `--set instance=NAME`")),
        }
    }
}

#[cfg(test)]
mod tests;
