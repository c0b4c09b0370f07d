//! How a pipeline does, on one line: for a terminal and for a service manager.

use aqpipe_engine::monitor::{Monitor, Phase, PipelineStatus};

/// `consumer: 120 records/s read, 118 written, lag 7, mean score 0.983, alerts: quality`, or what it waits for.
pub(crate) fn status_line(monitor: &Monitor) -> String {
    let status = monitor.status();
    let score = monitor.history().iter().rev().find_map(|point| point.mean_score);
    line(&status, score)
}

fn line(status: &PipelineStatus, recent_score: Option<f64>) -> String {
    let away = away(status);
    let what = match status.phase {
        Phase::Starting | Phase::Running if !status.waits.is_empty() => {
            format!("waiting; {}{away}", status.waits.join("; "))
        }
        Phase::Starting if !away.is_empty() => format!("starting{away}"),
        Phase::Running => numbers(status, recent_score) + &away,
        Phase::Stopping => format!("stopping; {}", numbers(status, recent_score)),
        phase => match &status.failure {
            Some(why) => format!("{}: {why}", phase.name()),
            None => phase.name().to_owned(),
        },
    };
    format!("{}: {what}", status.name)
}

/// The brokers that do not answer, of which one is told; each of them has a line in the log.
fn away(status: &PipelineStatus) -> String {
    let Some(first) = status.brokers_away.first() else { return String::new() };
    let more = match status.brokers_away.len() - 1 {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    format!("; {}{more}", first.sentence())
}

fn numbers(status: &PipelineStatus, recent_score: Option<f64>) -> String {
    let rate = |rate: f64| match rate {
        // Hourly readings of a few stations.
        slow if slow > 0.0 && slow < 10.0 => format!("{slow:.1}"),
        rate => format!("{rate:.0}"),
    };
    let (read, written) = (rate(status.read_per_second), rate(status.written_per_second));
    let mut text = format!("{read} records/s read, {written} written");
    if let Some(lag) = status.lag {
        text += &format!(", lag {lag}");
    }
    if let Some(score) = recent_score.or(status.committed.mean_score) {
        text += &format!(", mean score {score:.3}");
    }
    let alert = |alert: &str, subject: Option<&str>| match subject {
        Some(subject) => format!("{alert} ({subject})"),
        None => alert.to_owned(),
    };
    let alerts: Vec<String> =
        status.alerts.iter().map(|firing| alert(&firing.alert, firing.subject.as_deref())).collect();
    if !alerts.is_empty() {
        text += &format!(", alerts: {}", alerts.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use aqpipe_engine::metrics::BrokerAway;
    use aqpipe_engine::monitor::AlertStatus;

    use super::*;

    #[test]
    fn rates_lag_score_and_alerts_are_on_one_line() {
        let mut status = PipelineStatus {
            name: "job".to_owned(),
            phase: Phase::Running,
            read_per_second: 120.4,
            written_per_second: 0.25,
            lag: Some(7),
            ..PipelineStatus::default()
        };
        assert_eq!(line(&status, None), "job: 120 records/s read, 0.2 written, lag 7");
        let alert = |name: &str, subject: Option<&str>| AlertStatus {
            subjects: 1,
            alert: name.to_owned(),
            subject: subject.map(str::to_owned),
            firing: true,
            since: String::new(),
            value: 0.5,
            limit: 0.7,
            text: String::new(),
        };
        status.alerts = vec![alert("quality", None), alert("silent_after", Some("b"))];
        status.phase = Phase::Stopping;
        assert_eq!(
            line(&status, Some(0.5)),
            "job: stopping; 120 records/s read, 0.2 written, lag 7, mean score 0.500, alerts: quality, silent_after (b)"
        );
    }

    #[test]
    fn what_is_waited_for_and_why_it_failed_is_said_instead() {
        let mut status = PipelineStatus { name: "job".to_owned(), ..PipelineStatus::default() };
        assert_eq!(line(&status, None), "job: starting");
        status.waits = vec!["kafka: a broker that answers".to_owned()];
        assert_eq!(line(&status, None), "job: waiting; kafka: a broker that answers");
        let broker = |name: &str, seconds: f64| BrokerAway {
            broker: name.to_owned(),
            seconds,
            reason: "connection refused".to_owned(),
            is_asked: true,
        };
        status.brokers_away = vec![broker("127.0.0.1:9092", 12.9)];
        let away = "; broker 127.0.0.1:9092 has not answered for 12 s (connection refused)";
        assert_eq!(line(&status, None), format!("job: waiting; kafka: a broker that answers{away}"));
        status.waits.clear();
        assert_eq!(line(&status, None), format!("job: starting{away}"));
        (status.phase, status.read_per_second) = (Phase::Running, 20.0);
        assert_eq!(line(&status, None), format!("job: 20 records/s read, 0 written{away}"));
        status.brokers_away.push(broker("127.0.0.1:9093", 1.0));
        assert!(line(&status, None).ends_with("(connection refused), and 1 more"));
        (status.phase, status.failure) = (Phase::Failed, Some("the disk is full".to_owned()));
        assert_eq!(line(&status, None), "job: failed: the disk is full");
    }
}
