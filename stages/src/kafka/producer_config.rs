//! The configuration that all producers share, and the sizes of records and batches that follow from it.

use rdkafka::ClientConfig;

use super::properties::ReservedProperty;

/// The most bytes that a record needs in a batch of its own beyond key, value and headers.
const RECORD_FRAMING_BYTES: usize = 128;
/// librdkafka's default of `message.max.bytes`.
const REQUEST_BYTES_DEFAULT: usize = 1_000_000;
/// librdkafka's default of `batch.size`.
const BATCH_BYTES_DEFAULT: usize = 1_000_000;

/// The properties that every sink sets itself.
pub(crate) const RESERVED_PROPERTIES: &[ReservedProperty] = &[
    ("message.timeout.ms", "a record is never given up; stop the pipeline instead"),
    ("delivery.report.only.error", "every acknowledgement is counted"),
    ("enable.gapless.guarantee", "a record that cannot be sent stops the pipeline"),
    ("transactional.id", "it follows from the pipeline's `name` and `instance`"),
    ("transaction.timeout.ms", "set `transactions = { timeout_secs = … }`"),
];

/// Sets what every producer needs, before a stage's own properties. `batch_bytes_max` are the largest batches that the
/// topics take, where that is known.
pub(crate) fn set_defaults(config: &mut ClientConfig, batch_bytes_max: impl Iterator<Item = usize>) {
    // The key of a record decides its partition as with Java clients.
    config.set("partitioner", "murmur2_random");
    // Bytes are counted by the stages, so records need not be counted by the library.
    config.set("queue.buffering.max.messages", "0");
    if let Some(largest) = batch_bytes_max.max().filter(|largest| *largest > REQUEST_BYTES_DEFAULT) {
        // A record that a topic takes should not fail at a default of the client.
        config.set("message.max.bytes", largest.to_string());
    }
}

/// Limits batches to the smallest that a topic takes: a batch that is refused fails all its records, the small ones too.
pub(crate) fn limit_batches(config: &mut ClientConfig, batch_bytes_max: impl Iterator<Item = usize>) {
    let asked = batch_bytes(config);
    if let Some(smallest) = batch_bytes_max.min().filter(|smallest| *smallest < asked) {
        config.set("batch.size", smallest.to_string());
    }
}

/// How many bytes a full batch has.
pub(crate) fn batch_bytes(config: &ClientConfig) -> usize {
    number(config, "batch.size", BATCH_BYTES_DEFAULT)
}

/// The most bytes that key, value and headers of a record may have together.
pub(crate) fn record_bytes_max(config: &ClientConfig, batch_bytes_max: Option<usize>) -> usize {
    let request = number(config, "message.max.bytes", REQUEST_BYTES_DEFAULT);
    request.min(batch_bytes_max.unwrap_or(usize::MAX)).saturating_sub(RECORD_FRAMING_BYTES)
}

/// The same for a topic of which nothing is known, with the defaults.
pub(crate) fn record_bytes_max_default() -> usize {
    REQUEST_BYTES_DEFAULT - RECORD_FRAMING_BYTES
}

fn number(config: &ClientConfig, name: &str, default: usize) -> usize {
    config.get(name).and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_and_batches_are_as_large_as_the_topics_take() {
        let limits = [3_000, 20_000_000];
        let mut config = ClientConfig::new();
        set_defaults(&mut config, limits.into_iter());
        limit_batches(&mut config, limits.into_iter());
        assert_eq!((config.get("message.max.bytes"), config.get("batch.size")), (Some("20000000"), Some("3000")));
        assert_eq!(record_bytes_max(&config, Some(3_000)), 2_872);
        assert_eq!(record_bytes_max(&config, None), 19_999_872);
    }

    #[test]
    fn nothing_is_set_where_the_defaults_fit_or_nothing_is_known() {
        let mut config = ClientConfig::new();
        set_defaults(&mut config, std::iter::empty());
        limit_batches(&mut config, std::iter::empty());
        assert_eq!((config.get("message.max.bytes"), config.get("batch.size")), (None, None));
        assert_eq!(record_bytes_max(&config, None), record_bytes_max_default());
    }
}
