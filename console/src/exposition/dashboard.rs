//! A dashboard for Grafana.

use serde_json::{Value, json};

use super::metric::{Kind, Metric};
use super::table::METRICS;

/// The columns of Grafana's grid.
const GRID_COLUMNS: usize = 24;
/// The rows that a picture takes.
const PANEL_ROWS: usize = 8;

/// A picture of the dashboard.
struct Panel {
    title: &'static str,
    /// How it is drawn: `timeseries`, `stat`, `heatmap`, `table`.
    look: &'static str,
    /// Grafana's name of the unit.
    unit: &'static str,
    /// Columns.
    width: usize,
    /// The metric whose meaning is that of the picture.
    metric: &'static str,
    /// Queries with their legends. `$by` stands for the choice of pipelines and instances.
    queries: &'static [(&'static str, &'static str)],
}

const fn lines(
    title: &'static str,
    unit: &'static str,
    metric: &'static str,
    queries: &'static [(&'static str, &'static str)],
) -> Panel {
    Panel { title, look: "timeseries", unit, width: 12, metric, queries }
}

const fn stat(title: &'static str, metric: &'static str, queries: &'static [(&'static str, &'static str)]) -> Panel {
    Panel { title, look: "stat", unit: "short", width: 6, metric, queries }
}

const PANELS: &[Panel] = &[
    stat("Alive", "aqpipe_up", &[("aqpipe_up{$by}", "{{pipeline}}")]),
    stat("Ready", "aqpipe_ready", &[("aqpipe_ready{$by}", "{{pipeline}}")]),
    stat(
        "Alerts that fire",
        "aqpipe_alerts_firing",
        &[("sum by (pipeline) (aqpipe_alerts_firing{$by})", "{{pipeline}}")],
    ),
    stat("Records that wait", "aqpipe_lag_records", &[("sum by (pipeline) (aqpipe_lag_records{$by})", "{{pipeline}}")]),
    lines(
        "Throughput",
        "reqps",
        "aqpipe_read_records_total",
        &[
            ("rate(aqpipe_read_records_total{$by}[$__rate_interval])", "{{pipeline}} read"),
            (
                "rate(aqpipe_committed_records_total{$by,outcome=\"written\"}[$__rate_interval])",
                "{{pipeline}} written and committed",
            ),
        ],
    ),
    lines(
        "Lag by split",
        "short",
        "aqpipe_split_lag_records",
        &[("aqpipe_split_lag_records{$by}", "{{pipeline}} {{split}}")],
    ),
    lines(
        "Mean quality score",
        "percentunit",
        "aqpipe_quality_score",
        &[(
            "rate(aqpipe_quality_score_sum{$by}[$__rate_interval]) / rate(aqpipe_quality_score_count{$by}[$__rate_interval])",
            "{{pipeline}}",
        )],
    ),
    Panel {
        title: "Quality scores",
        look: "heatmap",
        unit: "short",
        width: 12,
        metric: "aqpipe_quality_score",
        queries: &[("sum by (le) (increase(aqpipe_quality_score_bucket{$by}[$__rate_interval]))", "{{le}}")],
    },
    lines(
        "Cells that are not observed, by field",
        "percentunit",
        "aqpipe_cells_total",
        &[(
            "sum by (pipeline, field, state) (rate(aqpipe_cells_total{$by,state!=\"observed\"}[$__rate_interval])) / \
             on (pipeline, field) group_left () sum by (pipeline, field) (rate(aqpipe_cells_total{$by}[$__rate_interval]))",
            "{{field}} {{state}}",
        )],
    ),
    lines(
        "Objections by field and test",
        "reqps",
        "aqpipe_cell_objections_total",
        &[(
            "sum by (field, test, flag) (rate(aqpipe_cell_objections_total{$by}[$__rate_interval])) > 0",
            "{{field}} {{test}} {{flag}}",
        )],
    ),
    lines(
        "Dead letters by stage and reason",
        "reqps",
        "aqpipe_dead_letters_total",
        &[(
            "sum by (stage, reason) (rate(aqpipe_dead_letters_total{$by}[$__rate_interval])) > 0",
            "{{stage}}: {{reason}}",
        )],
    ),
    lines(
        "Errors, retries, failed connections",
        "reqps",
        "aqpipe_errors_total",
        &[
            (
                "sum by (pipeline, stage, class) (rate(aqpipe_errors_total{$by}[$__rate_interval]))",
                "{{pipeline}} errors: {{stage}} {{class}}",
            ),
            ("rate(aqpipe_retries_total{$by}[$__rate_interval])", "{{pipeline}} retries"),
            ("rate(aqpipe_connection_failures_total{$by}[$__rate_interval])", "{{pipeline}} failed connections"),
        ],
    ),
    lines(
        "Time by stage",
        "s",
        "aqpipe_stage_busy_seconds_total",
        &[(
            "sum by (pipeline, stage) (rate(aqpipe_stage_busy_seconds_total{$by}[$__rate_interval]))",
            "{{pipeline}} {{stage}}",
        )],
    ),
    lines(
        "From reading to commit",
        "s",
        "aqpipe_processing_latency_seconds",
        &[
            (
                "histogram_quantile(0.5, sum by (pipeline, le) (rate(aqpipe_processing_latency_seconds_bucket{$by}[$__rate_interval])))",
                "{{pipeline}} median",
            ),
            (
                "histogram_quantile(0.99, sum by (pipeline, le) (rate(aqpipe_processing_latency_seconds_bucket{$by}[$__rate_interval])))",
                "{{pipeline}} 99 %",
            ),
        ],
    ),
    lines(
        "Commits",
        "s",
        "aqpipe_commit_duration_seconds",
        &[(
            "histogram_quantile(0.99, sum by (pipeline, le) (rate(aqpipe_commit_duration_seconds_bucket{$by}[$__rate_interval])))",
            "{{pipeline}} 99 %",
        )],
    ),
    lines(
        "Round trip to the brokers",
        "s",
        "aqpipe_client_round_trip_seconds",
        &[("aqpipe_client_round_trip_seconds{$by}", "{{pipeline}} {{client}}")],
    ),
    Panel {
        title: "Stations by the age of their newest reading",
        look: "table",
        unit: "s",
        width: 12,
        metric: "aqpipe_station_newest_timestamp_seconds",
        queries: &[("topk(50, time() - aqpipe_station_newest_timestamp_seconds{$by})", "{{station}}")],
    },
    lines(
        "Memory",
        "bytes",
        "process_resident_memory_bytes",
        &[("process_resident_memory_bytes{instance=~\"$instance\"}", "{{instance}}")],
    ),
];

/// What `$by` stands for.
const BY: &str = "pipeline=~\"$pipeline\",instance=~\"$instance\"";

/// The dashboard as JSON, for `Import` in Grafana.
#[must_use]
pub fn dashboard() -> String {
    let dashboard = json!({
        "title": "aqpipe",
        "uid": "aqpipe",
        "description": "Generated by `aqpipe metrics --write`; docs/metrics.md explains the metrics.",
        "tags": ["aqpipe"],
        "schemaVersion": 39,
        "version": 1,
        "editable": true,
        "refresh": "30s",
        "time": { "from": "now-3h", "to": "now" },
        "templating": { "list": [
            {
                "name": "datasource",
                "label": "Data source",
                "type": "datasource",
                "query": "prometheus",
            },
            choice("pipeline", "Pipeline", "label_values(aqpipe_up, pipeline)"),
            choice("instance", "Instance", "label_values(aqpipe_up, instance)"),
        ] },
        "panels": panels(),
    });
    format!("{dashboard:#}\n")
}

fn choice(name: &str, label: &str, query: &str) -> Value {
    json!({
        "name": name,
        "label": label,
        "type": "query",
        "datasource": datasource(),
        "query": { "query": query, "refId": name },
        "refresh": 2,
        "multi": true,
        "includeAll": true,
        "current": { "text": "All", "value": "$__all" },
    })
}

fn datasource() -> Value {
    json!({ "type": "prometheus", "uid": "${datasource}" })
}

fn panels() -> Vec<Value> {
    let (mut x, mut y) = (0, 0);
    let mut place = |width: usize| {
        if x + width > GRID_COLUMNS {
            (x, y) = (0, y + PANEL_ROWS);
        }
        let place = json!({ "x": x, "y": y, "w": width, "h": PANEL_ROWS });
        x += width;
        place
    };
    PANELS.iter().enumerate().map(|(i, one)| panel(i + 1, one, &place(one.width))).collect()
}

fn panel(id: usize, panel: &Panel, place: &Value) -> Value {
    let metric = METRICS.iter().find(|metric| metric.name == panel.metric);
    let is_table = panel.look == "table";
    let format = match (panel.look, metric.map(|metric| metric.kind)) {
        ("heatmap", Some(Kind::Histogram)) => "heatmap",
        ("table", _) => "table",
        _ => "time_series",
    };
    let targets = panel.queries.iter().zip('A'..).map(|((query, legend), id)| {
        json!({
            "refId": id.to_string(),
            "datasource": datasource(),
            "expr": query.replace("$by", BY),
            "legendFormat": legend,
            "format": format,
            "instant": is_table,
            "range": !is_table,
        })
    });
    json!({
        "id": id,
        "title": panel.title,
        "description": metric.map_or("", help),
        "type": panel.look,
        "datasource": datasource(),
        "gridPos": place,
        "fieldConfig": { "defaults": { "unit": panel.unit }, "overrides": [] },
        "targets": targets.collect::<Vec<_>>(),
    })
}

fn help(metric: &Metric) -> &'static str {
    metric.help
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_says_what_a_metric_of_the_list_means() {
        for panel in PANELS {
            let known = METRICS.iter().any(|metric| metric.name == panel.metric);
            assert!(known && panel.queries.iter().any(|(query, _)| query.contains(panel.metric)), "{}", panel.title);
        }
    }
}
