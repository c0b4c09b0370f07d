//! A house for each test: a directory to work in, the command, and readers of what it leaves.

mod acl;
mod data;
mod house;
mod kafka;
mod output;
mod small;

pub(crate) use acl::{Resource, deny_write};
pub(crate) use data::{UCI_FIELDS, shipped, uci};
pub(crate) use house::{Done, House};
pub(crate) use kafka::{Kafka, Sent, block_on};
pub(crate) use output::{Rows, names};
pub(crate) use small::Small;
