//! Which errors of clients are told, and as what.

use super::*;
use crate::kafka::client_log::REFUSED;

fn unreachable() -> KafkaError {
    KafkaError::Global(Code::BrokerTransportFailure)
}

#[test]
fn a_broker_out_of_reach_is_no_error_of_a_record_and_other_trouble_is() {
    let cx = BuildContext::for_tests();
    let monitor = ConnectionMonitor::new(&cx, "127.0.0.1:9");
    monitor.client_error(&unreachable(), REFUSED);
    monitor.failed(&unreachable());
    let metrics = || cx.metrics().snapshot();
    assert_eq!((metrics().errors, metrics().retries, metrics().unreached), (0, 0, 2));
    assert_eq!(monitor.last_failure().as_deref(), Some("no broker answers at 127.0.0.1:9 (connection refused)"));
    monitor.recovered();
    assert_eq!(monitor.last_failure(), None);
    monitor.failed(&KafkaError::Global(Code::NotCoordinator));
    monitor.failure("two");
    monitor.failure("two");
    assert_eq!((metrics().errors, metrics().retries, metrics().unreached), (2, 1, 2));
    assert_eq!((monitor.last_failure().as_deref(), monitor.failure_count()), (Some("two"), 4));
}

#[test]
fn a_start_ends_where_no_broker_has_answered_in_the_time_that_it_was_given() {
    let cx = BuildContext::for_tests();
    let monitor = ConnectionMonitor::new(&cx, "127.0.0.1:9");
    monitor.limit_connect_time(Some(Duration::from_secs(1)));
    monitor.client_error(&unreachable(), REFUSED);
    assert!(monitor.fatal().is_none(), "there is time left");
    let long_ago = Instant::now().checked_sub(Duration::from_secs(2)).expect("a clock that runs for so long");
    monitor.failures.lock().outage.as_mut().expect("no answer").since = long_ago;
    let error = monitor.fatal().expect("an error");
    assert!(error.to_string().contains("no broker answers at 127.0.0.1:9 (connection refused) within 1 s"), "{error}");
    assert!(error.help_text().is_some_and(|help| help.contains("connect_timeout_secs")));
    monitor.recovered();
    monitor.client_error(&unreachable(), REFUSED);
    monitor.failures.lock().outage.as_mut().expect("no answer").since = long_ago;
    assert!(monitor.fatal().is_none(), "what has answered once is waited for");
}
