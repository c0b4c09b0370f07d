//! Options about topics: their names, and how a missing one is created.

use aqpipe_engine::stage::Problem;
use schemars::JsonSchema;
use serde::Deserialize;

/// How a missing topic is created.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(crate) struct CreateTopic {
    /// Partitions: at most so many members of a consumer group share the work.
    #[serde(default = "CreateTopic::partitions")]
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) partitions: i32,
    /// Copies of each record on different brokers.
    #[serde(default = "CreateTopic::replication")]
    #[schemars(range(min = 1, max = 100))]
    pub(crate) replication: i32,
}

impl CreateTopic {
    const fn partitions() -> i32 {
        3
    }

    const fn replication() -> i32 {
        1
    }
}

impl Default for CreateTopic {
    fn default() -> Self {
        CreateTopic { partitions: Self::partitions(), replication: Self::replication() }
    }
}

/// The problem of a name that no topic can have.
pub(crate) fn check_topic(path: &[&str], topic: &str) -> Option<Problem> {
    let fits = (1..=249).contains(&topic.len())
        && topic != "."
        && topic != ".."
        && topic.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    (!fits).then(|| {
        Problem::new(path.iter().copied(), format!("`{topic}` is not a name that a topic can have"))
            .help("letters, digits, `.`, `_` and `-`, at most 249 of them")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_no_topic_can_have_are_problems() {
        assert_eq!(check_topic(&["topic"], "air-quality_data.v1"), None);
        for bad in ["", "a/b", "..", "füllstand", &"x".repeat(250)] {
            assert!(check_topic(&["topic"], bad).is_some(), "{bad}");
        }
    }
}
