//! `/metrics`: the facts as Prometheus text and as OpenMetrics, and what is generated from the list of metrics: its documentation, a
//! Grafana dashboard and alert rules for Prometheus.

mod dashboard;
mod docs;
mod encode;
mod facts;
mod metric;
mod negotiate;
mod rules;
mod table;

pub use dashboard::dashboard;
pub use docs::docs;
pub use encode::exposition;
pub use facts::{Facts, PipelineFacts};
pub use metric::{Emit, Kind, Metric, Of, Value};
pub use negotiate::Format;
pub use rules::rules;
pub use table::METRICS;
