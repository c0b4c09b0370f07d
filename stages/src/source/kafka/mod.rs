//! From Kafka topics, as a member of a consumer group.

mod config;
mod dead_letter_decoder;
mod field_presence;
mod group;
mod membership;
mod message_check;
mod message_config;
mod message_decoder;
mod message_reader;
mod offsets;
mod opener;
mod other_members;
mod partition_handle;
mod partition_state;
mod raw_schema;
mod rebalance;
mod settings;
mod source;
mod split_reader;
mod start_position;
mod topic_identity;
mod topic_start;
mod wait_report;
