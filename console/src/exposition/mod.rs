//! `/metrics`: the facts as Prometheus text and as OpenMetrics.
