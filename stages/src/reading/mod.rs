//! What all sources share: from the cells of a file and the values of a message to typed columns.

pub mod time;
