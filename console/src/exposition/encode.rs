//! The facts as text.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabel as _, EncodeLabelSet, LabelSetEncoder, MetricEncoder, NoLabelSet, prometheus_text,
    text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use super::facts::Facts;
use super::metric::{Kind, Metric, Of, Value};
use super::negotiate::Format;
use super::table::METRICS;

/// Characters of a label's value. Keys and reasons come from data, which may hold anything.
const LABEL_CHARS_MAX: usize = 128;

/// The facts in a format.
#[must_use]
pub fn exposition(facts: &Arc<Facts>, format: Format) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Collected(Arc::clone(facts))));
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = match format {
        Format::PrometheusText => prometheus_text::encode(&mut out, &registry),
        Format::OpenMetrics => text::encode(&mut out, &registry),
    };
    out
}

#[derive(Debug)]
struct Collected(Arc<Facts>);

impl Collector for Collected {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        METRICS.iter().try_for_each(|metric| family(metric, &self.0, &mut encoder))
    }
}

/// All samples of a metric, for a format wants them together. A metric without any is left out.
fn family(metric: &Metric, facts: &Facts, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let unit = metric.unit.map(|unit| Unit::Other(unit.to_owned()));
    let mut samples: Vec<(Option<&str>, Vec<String>, OwnedValue)> = Vec::new();
    let mut known = HashSet::new();
    let mut take = |pipeline, labels: &[&str], value: Value<'_>| {
        debug_assert_eq!(labels.len(), metric.labels.len(), "{}", metric.name);
        let labels: Vec<String> = labels.iter().map(|label| bounded(label).into_owned()).collect();
        // Two samples with the same labels would make the whole answer invalid.
        if known.insert(digest(&(pipeline, &labels))) {
            samples.push((pipeline, labels, value.into()));
        }
    };
    match metric.of {
        Of::Process(of) => of(facts, &mut |labels, value| take(None, labels, value)),
        Of::Pipeline(of) => facts.pipelines.iter().for_each(|pipeline| {
            of(pipeline, &mut |labels, value| take(Some(&*pipeline.name), labels, value));
        }),
    }
    if samples.is_empty() {
        return Ok(());
    }
    let mut family = encoder.encode_descriptor(base_name(metric), &help(metric), unit.as_ref(), kind(metric.kind))?;
    samples.iter().try_for_each(|(pipeline, values, value)| {
        let labels = Labels { pipeline: *pipeline, names: metric.labels, values };
        sample(metric.kind, &mut family, &labels, value)
    })
}

fn sample(kind: Kind, family: &mut MetricEncoder<'_>, labels: &Labels<'_>, value: &OwnedValue) -> fmt::Result {
    if kind == Kind::Info {
        return family.encode_info(labels);
    }
    let mut sample = family.encode_family(labels)?;
    match (kind, value) {
        (Kind::Counter, OwnedValue::Count(count)) => sample.encode_counter::<NoLabelSet, u64, u64>(count, None),
        (Kind::Counter, OwnedValue::Quantity(sum)) => sample.encode_counter::<NoLabelSet, f64, u64>(sum, None),
        (_, OwnedValue::Count(count)) => sample.encode_gauge(count),
        (_, OwnedValue::Quantity(quantity)) => sample.encode_gauge(quantity),
        (_, OwnedValue::Sizes { sum, count, buckets }) => {
            sample.encode_histogram::<NoLabelSet>(*sum, *count, buckets, None)
        }
    }
}

/// A value that outlives what it was taken from.
enum OwnedValue {
    Count(u64),
    Quantity(f64),
    Sizes { sum: f64, count: u64, buckets: Vec<(f64, u64)> },
}

impl From<Value<'_>> for OwnedValue {
    fn from(value: Value<'_>) -> OwnedValue {
        match value {
            Value::Count(count) => OwnedValue::Count(count),
            Value::Quantity(quantity) => OwnedValue::Quantity(quantity),
            Value::Sizes(histogram) => OwnedValue::Sizes {
                sum: histogram.sum(),
                count: histogram.count(),
                buckets: histogram.buckets().collect(),
            },
        }
    }
}

/// The name without what the encoder appends.
fn base_name(metric: &Metric) -> &'static str {
    let name = metric.name.strip_suffix(metric.kind.suffix()).unwrap_or(metric.name);
    metric.unit.and_then(|unit| name.strip_suffix(unit)?.strip_suffix('_')).unwrap_or(name)
}

fn help(metric: &Metric) -> String {
    format!("{}.", metric.help)
}

const fn kind(kind: Kind) -> MetricType {
    match kind {
        Kind::Counter => MetricType::Counter,
        Kind::Gauge => MetricType::Gauge,
        Kind::Histogram => MetricType::Histogram,
        Kind::Info => MetricType::Info,
    }
}

fn digest(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

/// A value that is too long keeps its beginning, and a digest that tells it apart.
fn bounded(value: &str) -> Cow<'_, str> {
    match value.char_indices().nth(LABEL_CHARS_MAX) {
        Some((end, _)) => Cow::Owned(format!("{}…{:016x}", &value[..end], digest(&value))),
        None => Cow::Borrowed(value),
    }
}

struct Labels<'a> {
    pipeline: Option<&'a str>,
    names: &'static [&'static str],
    values: &'a [String],
}

impl EncodeLabelSet for Labels<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        let own = self.names.iter().copied().zip(self.values.iter().map(String::as_str));
        let all = self.pipeline.map(|name| ("pipeline", name)).into_iter().chain(own);
        // A label without a value is no label.
        let mut all = all.filter(|(_, value)| !value.is_empty());
        all.try_for_each(|label| label.encode(encoder.encode_label()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_are_too_long_are_cut_and_stay_apart() {
        let of = |last: char| bounded(&format!("{}{last}", "ä".repeat(500))).into_owned();
        assert_ne!(of('a'), of('b'));
        assert!(of('a').chars().count() < 150 && of('a').starts_with("ää"));
        assert_eq!(bounded("short"), "short");
    }
}
