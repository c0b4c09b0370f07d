//! One partition of a topic, as the id of a split names it: `topic/partition`.

use std::fmt;
use std::str::FromStr;

use aqpipe_engine::record::SplitId;
use aqpipe_engine::{Error, Result};
use rdkafka::{Offset, TopicPartitionList};

/// A partition of a topic. Its text form, which is also the id of its split, is `topic/partition`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TopicPartition {
    topic: String,
    partition: i32,
}

impl TopicPartition {
    pub(crate) fn new(topic: &str, partition: i32) -> TopicPartition {
        TopicPartition { topic: topic.to_owned(), partition }
    }

    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    pub(crate) fn partition(&self) -> i32 {
        self.partition
    }

    /// The id of the split that reads the partition.
    pub(crate) fn split_id(&self) -> SplitId {
        self.to_string().into()
    }

    /// The partitions of a list, in its order.
    pub(crate) fn all(list: &TopicPartitionList) -> Vec<TopicPartition> {
        list.elements().iter().map(|it| TopicPartition::new(it.topic(), it.partition())).collect()
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

impl FromStr for TopicPartition {
    type Err = Error;

    fn from_str(text: &str) -> Result<TopicPartition> {
        let parts = text.rsplit_once('/').and_then(|(topic, partition)| Some((topic, partition.parse().ok()?)));
        let (topic, partition) = parts.ok_or_else(|| Error::bug(format!("`{text}` is not a partition")))?;
        Ok(TopicPartition::new(topic, partition))
    }
}

/// Offsets by split, as the library takes them.
///
/// # Errors
/// Where a split is no partition, or an offset is larger than Kafka's.
pub(crate) fn offset_list<'a>(offsets: impl IntoIterator<Item = (&'a SplitId, u64)>) -> Result<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for (id, offset) in offsets {
        let partition: TopicPartition = id.parse()?;
        let offset = i64::try_from(offset).map_err(|_| Error::new("an offset too large").at(&**id))?;
        list.add_partition_offset(partition.topic(), partition.partition(), Offset::Offset(offset))
            .map_err(|error| Error::bug("an offset that cannot be listed").because(error))?;
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_read_back_from_its_text_and_other_texts_are_none() {
        let partition = TopicPartition::new("a.b_c-d", 12);
        assert_eq!(partition.split_id().parse::<TopicPartition>().expect("a partition"), partition);
        for text in ["", "topic", "topic/", "topic/x", "12"] {
            assert!(text.parse::<TopicPartition>().is_err(), "{text}");
        }
    }

    #[test]
    fn offsets_are_listed_by_partition() {
        let list = offset_list([(&"t/1".into(), 7)]).expect("a list");
        assert_eq!(list.find_partition("t", 1).expect("there").offset(), Offset::Offset(7));
        assert!(offset_list([(&"t/1".into(), u64::MAX)]).is_err());
    }
}
