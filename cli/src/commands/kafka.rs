//! `aqpipe kafka`: a local Apache Kafka.

use anyhow::Result;
use aqpipe_devkafka::{Console, KafkaArgs};

use crate::exit::Exit;
use crate::printer;

struct Printer;

impl Console for Printer {
    fn out(&self, line: &str) {
        printer::out(line);
    }

    fn err(&self, line: &str) {
        printer::err(line);
    }
}

/// Runs the command.
///
/// # Errors
/// Where brokers cannot be started or stopped.
pub(crate) fn kafka(args: &KafkaArgs) -> Result<Exit> {
    let healthy = aqpipe_devkafka::run(args, &Printer)?;
    Ok(if healthy { Exit::Done } else { Exit::Failed })
}
