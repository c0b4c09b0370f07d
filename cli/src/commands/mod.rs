//! The commands, a file each.

mod dead_letters;
mod kafka;
mod load;
mod metrics;
mod new_stage;
mod report;
mod run;
mod schema;
mod stages;
mod state;
mod top;
mod validate;

pub(crate) use dead_letters::{DeadLettersArgs, dead_letters};
pub(crate) use kafka::kafka;
pub(crate) use metrics::{MetricsArgs, metrics};
pub(crate) use new_stage::{NewStageArgs, new_stage};
pub(crate) use report::{CaptureArgs, ReportArgs, capture, report};
pub(crate) use run::{RunArgs, run};
pub(crate) use schema::{SchemaArgs, schema};
pub(crate) use stages::{StagesArgs, stages};
pub(crate) use state::{StateArgs, state};
pub(crate) use top::{TopArgs, top};
pub(crate) use validate::{ValidateArgs, validate};
