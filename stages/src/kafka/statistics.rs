//! What a client of librdkafka measures of its connections.

use aqpipe_engine::metrics::ClientFigures;
use rdkafka::statistics::Broker;
use rdkafka::{ClientConfig, Statistics};

/// How often a client reports, in milliseconds: often enough for a graph, and too rare to cost anything.
const REPORT_INTERVAL_MS: &str = "5000";
/// Partitions without a leader that are named.
const PARTITIONS_NAMED_MAX: usize = 3;
/// librdkafka gives round trips in microseconds.
const MICROS_IN_SECOND: f64 = 1e6;

/// Has a client report what it measures. Only for clients that are polled: nobody would take the reports of others.
pub(crate) fn report(config: &mut ClientConfig) {
    config.set("statistics.interval.ms", REPORT_INTERVAL_MS);
}

/// The figures of a report. The round trip is the mean over all brokers that answered within the interval.
pub(super) fn figures(client: String, report: &Statistics) -> ClientFigures {
    let brokers = || report.brokers.values();
    let answers: i64 = brokers().filter_map(|broker| broker.rtt.as_ref()).map(|rtt| rtt.cnt).sum();
    let micros: i64 = brokers().filter_map(|broker| broker.rtt.as_ref()).map(|rtt| rtt.sum).sum();
    let partitions = report.topics.values().flat_map(|topic| topic.partitions.values());
    let fetched: i64 = partitions.map(|partition| partition.fetchq_cnt.max(0)).sum();
    ClientFigures {
        client,
        round_trip_seconds: (answers > 0).then(|| micros as f64 / MICROS_IN_SECOND / answers as f64),
        request_retries: brokers().map(|broker| broker.txretries).sum(),
        request_timeouts: brokers().map(|broker| broker.req_timeouts).sum(),
        queued_messages: report.msg_cnt,
        queued_bytes: report.msg_size,
        fetched_messages: fetched.max(0) as u64,
        // One that was configured and one that the cluster named may be the same; only the latter has a number.
        brokers_up: brokers().filter(|broker| broker.state == "UP" && broker.nodeid >= 0).count() as u64,
    }
}

/// Whether a broker has answered within the interval of the report. That a connection is open says less: its broker may be frozen.
pub(super) fn has_answers(report: &Statistics) -> bool {
    let answers = |broker: &Broker| broker.state == "UP" && broker.rtt.as_ref().is_some_and(|rtt| rtt.cnt > 0);
    report.brokers.values().any(answers)
}

/// What a client waits for where partitions that it reads have no leader: the brokers that have them are away.
pub(super) fn leaderless(report: &Statistics) -> Option<String> {
    let mut without: Vec<String> = report
        .topics
        .values()
        .flat_map(|topic| topic.partitions.values().map(move |partition| (topic, partition)))
        .filter(|(_, partition)| partition.desired && partition.partition >= 0 && partition.leader < 0)
        .map(|(topic, partition)| format!("{}/{}", topic.topic, partition.partition))
        .collect();
    without.sort();
    let more = match without.len().saturating_sub(PARTITIONS_NAMED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    without.truncate(PARTITIONS_NAMED_MAX);
    (!without.is_empty()).then(|| format!("a broker that leads {}{more}", without.join(", ")))
}

#[cfg(test)]
mod tests {
    use rdkafka::statistics::{Partition, Topic, Window};

    use super::*;

    #[test]
    fn the_round_trip_is_the_mean_over_the_answers_of_all_brokers() {
        let broker = |nodeid, sum, cnt| Broker {
            nodeid,
            state: "UP".to_owned(),
            rtt: Some(Window { sum, cnt, ..Window::default() }),
            txretries: 2,
            req_timeouts: 1,
            ..Broker::default()
        };
        let mut report = Statistics { msg_cnt: 3, msg_size: 40, ..Statistics::default() };
        report.brokers.insert("a".to_owned(), broker(1, 3_000, 3));
        report.brokers.insert("b".to_owned(), broker(2, 9_000, 1));
        report.brokers.insert("bootstrap".to_owned(), Broker { rtt: None, ..broker(-1, 0, 0) });
        let partition = Partition { fetchq_cnt: 7, ..Partition::default() };
        let topic = Topic { partitions: [(0, partition)].into(), ..Topic::default() };
        report.topics.insert("t".to_owned(), topic);
        let expected = ClientFigures {
            client: "kafka".to_owned(),
            round_trip_seconds: Some(0.003),
            request_retries: 6,
            request_timeouts: 3,
            queued_messages: 3,
            queued_bytes: 40,
            fetched_messages: 7,
            brokers_up: 2,
        };
        assert_eq!(figures("kafka".to_owned(), &report), expected);
        assert!(has_answers(&report));
        report.brokers.values_mut().for_each(|broker| broker.rtt = Some(Window::default()));
        assert!(!has_answers(&report), "connections may be open all the same");
        assert_eq!(leaderless(&report), None);
        let partition = |partition: i32, desired: bool, leader: i32| {
            (partition, Partition { partition, desired, leader, ..Partition::default() })
        };
        let partitions = (0..7).map(|n| partition(n, n != 2, if n == 1 { 3 } else { -1 }));
        let partitions = partitions.chain([partition(-1, true, -1)]).collect();
        report.topics = [("t".to_owned(), Topic { topic: "t".to_owned(), partitions, ..Topic::default() })].into();
        assert_eq!(leaderless(&report).as_deref(), Some("a broker that leads t/0, t/3, t/4 and 2 more"));
        assert_eq!(figures(String::new(), &Statistics::default()).round_trip_seconds, None);
    }
}
