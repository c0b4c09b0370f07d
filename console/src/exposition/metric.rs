//! What is known of a metric.

use aqpipe_engine::metrics::Histogram;

use super::facts::{Facts, PipelineFacts};

/// A metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name, as a query has it; that of a histogram without `_bucket`, `_sum` and `_count`.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// The base unit, which its name ends with: `seconds`, `bytes`.
    pub unit: Option<&'static str>,
    /// Its labels beside `pipeline`.
    pub labels: &'static [&'static str],
    /// What it means: a sentence without its full stop.
    pub help: &'static str,
    /// Where its samples come from.
    pub of: Of,
}

/// The type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, until the process starts again.
    Counter,
    /// It goes up and down.
    Gauge,
    /// It counts values by size.
    Histogram,
    /// It is always 1; its labels are what it says.
    Info,
}

impl Kind {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            Kind::Info => "info",
        }
    }

    /// What names of metrics of this type end with.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Kind::Counter => "_total",
            Kind::Gauge | Kind::Histogram => "",
            Kind::Info => "_info",
        }
    }
}

/// What takes samples: the values of the labels in their order, an empty one where a sample lacks a label, and the value.
pub type Emit<'e> = dyn FnMut(&[&str], Value<'_>) + 'e;

/// Where samples come from.
#[derive(Clone, Copy, Debug)]
pub enum Of {
    /// From the process.
    Process(fn(&Facts, &mut Emit<'_>)),
    /// From each pipeline.
    Pipeline(fn(&PipelineFacts, &mut Emit<'_>)),
}

/// The value of a sample.
#[derive(Clone, Copy, Debug)]
pub enum Value<'h> {
    /// A count.
    Count(u64),
    /// A measured quantity.
    Quantity(f64),
    /// Values by size.
    Sizes(&'h Histogram),
}
