//! What tests share: a directory with the command in it, input, brokers, and readers of the output.

mod acl;
#[expect(dead_code, reason = "the tests of the page alone use more of it")]
#[path = "../../../../console/tests/browser/driver.rs"]
pub(crate) mod browser;
mod data;
mod kafka;
mod output;
mod pipelines;
mod process;
mod small_disk;
mod test_dir;

pub(crate) use acl::{Resource, deny_write};
pub(crate) use data::{UCI_FIELDS, shipped, uci};
pub(crate) use kafka::{Kafka, OutgoingMessage};
pub(crate) use output::{Rows, names};
pub(crate) use pipelines::{NDJSON_DEAD_LETTERS, UCI_SOURCE};
pub(crate) use process::{Done, Running};
pub(crate) use small_disk::SmallDisk;
pub(crate) use test_dir::TestDir;
