//! Which format a client wants.

/// A format of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text 0.0.4.
    PrometheusText,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// The media type.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Format::PrometheusText => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// The format that the `Accept` header of a request prefers. Prometheus text, which everything reads, where it says nothing.
    #[must_use]
    pub fn accepted(header: &str) -> Format {
        let (mut text, mut open) = (0.0_f32, 0.0_f32);
        for range in header.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            let (mut weight, mut version) = (1.0_f32, None);
            for (name, value) in parts.filter_map(|part| part.split_once('=')) {
                match name.trim() {
                    "q" => weight = value.trim().parse().unwrap_or(0.0),
                    "version" => version = Some(value.trim()),
                    _ => {}
                }
            }
            match (media, version) {
                ("application/openmetrics-text", None | Some("1.0.0")) => open = weight.max(open),
                ("text/plain" | "text/*" | "*/*", _) => text = weight.max(text),
                _ => {}
            }
        }
        if open > 0.0 && open >= text { Format::OpenMetrics } else { Format::PrometheusText }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_the_one_that_the_client_prefers() {
        for (accept, format) in [
            ("", Format::PrometheusText),
            ("*/*", Format::PrometheusText),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Format::PrometheusText),
            (
                "application/openmetrics-text;version=1.0.0;q=0.75,application/openmetrics-text;version=0.0.1;q=0.5,\
                 text/plain;version=0.0.4;q=0.25,*/*;q=0.1",
                Format::OpenMetrics,
            ),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.2",
                Format::OpenMetrics,
            ),
            ("text/plain;q=0.9, application/openmetrics-text; version=1.0.0; q=0.3", Format::PrometheusText),
            ("application/openmetrics-text; q=0", Format::PrometheusText),
            ("application/openmetrics-text;version=0.0.1", Format::PrometheusText),
            (";;q=,=,", Format::PrometheusText),
        ] {
            assert_eq!(Format::accepted(accept), format, "{accept}");
        }
    }
}
