//! Facts that librdkafka tells in words only: the broker that a log line is about, and the end of a partition.

use std::cell::Cell;

thread_local! {
    static PARTITION_END: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Keeps the offset that a report of a partition's end names, for the poll of this thread that returns it.
pub(super) fn note_partition_end(reason: &str) {
    PARTITION_END.set(offset_in(reason));
}

/// The end of the partition, after a poll of this thread that returned `PartitionEOF`: that error holds no offset.
pub(crate) fn take_partition_end() -> Option<u64> {
    PARTITION_END.take()
}

/// Whether a log line is about an address that the configuration names, of which it is not known whether it is a broker's.
pub(super) fn is_about_bootstrap(line: &str) -> bool {
    line.contains("/bootstrap: ")
}

/// The broker that a log line is about, and what is wrong with it:
/// `[thrd:a:9092/bootstrap]: a:9092/bootstrap: Connect to ipv4#10.0.0.1:9092 failed: Connection refused (after 2ms in …)`.
pub(super) fn broker_in(line: &str) -> Option<(String, String)> {
    let line = line.split_once("]: ").map_or(line, |(thread, rest)| if thread.starts_with('[') { rest } else { line });
    let mut rest = line;
    while let Some((piece, behind)) = rest.split_once(": ") {
        let address = piece.rsplit_once("://").map_or(piece, |(_, address)| address);
        let address = address.split_once('/').map_or(address, |(address, _)| address);
        let parts = address.rsplit_once(':');
        if parts.is_some_and(|(host, port)| {
            !host.is_empty() && !host.contains([' ', '#', '\'']) && port.parse::<u16>().is_ok()
        }) {
            return Some((address.to_owned(), reason_in(behind)));
        }
        rest = behind;
    }
    None
}

/// What a log line says in words of the library or of OpenSSL, by a part of it that is enough, and what that means: what is
/// behind such a line is a wrong option as a rule.
const MEANINGS: [(&[&str], &str); 5] = [
    (&["certificate verify failed", "mismatch"], "its certificate is that of another host"),
    (&["certificate verify failed"], "its certificate is not trusted: `ca_file` in `security` names who signs it"),
    (&["connecting to a PLAINTEXT broker listener"], "it ends the TLS handshake: does this port speak TLS?"),
    (&["receive 0 after POLLIN", "APIVERSION_QUERY"], "it hangs up at the first request: does this port want TLS?"),
    (&["Timed out", "APIVERSION_QUERY"], "it takes the connection and says nothing: is this a broker's port?"),
];

/// The last clause of a log line, without its times, or its meaning: `connection refused`.
fn reason_in(text: &str) -> String {
    if let Some((_, meaning)) = MEANINGS.iter().find(|(parts, _)| parts.iter().all(|part| text.contains(part))) {
        return (*meaning).to_owned();
    }
    let text = text.split_once(" (after ").map_or(text, |(text, _)| text);
    let text = text.split_once(": ").map_or(text, |(_, why)| why).trim_end_matches('.');
    // The first letter of a sentence, and not that of `SSL`.
    let mut chars = text.chars();
    match (chars.next(), text.chars().nth(1).is_some_and(char::is_uppercase)) {
        (Some(first), false) => first.to_lowercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}

/// The number behind "at offset".
fn offset_in(reason: &str) -> Option<u64> {
    let (_, rest) = reason.split_once("at offset ")?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[cfg(test)]
pub(super) const REFUSED: &str = "127.0.0.1:9/bootstrap: Connect to ipv4#127.0.0.1:9 failed: Connection refused (after 0ms in \
                                  state CONNECT)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_partition_is_read_from_the_words_of_the_library() {
        let reason = "Fetch from broker 1 reached end of partition at offset 1042 (HighwaterMark 1050)";
        assert_eq!(offset_in(reason), Some(1042));
        assert_eq!(offset_in("at offset END"), None);
        assert_eq!(offset_in("something else"), None);
    }

    #[test]
    fn the_broker_and_the_reason_are_read_from_the_words_of_the_library() {
        let pair = |broker: &str, why: &str| Some((broker.to_owned(), why.to_owned()));
        assert_eq!(broker_in(REFUSED), pair("127.0.0.1:9", "connection refused"));
        assert_eq!(
            broker_in(&format!("[thrd:127.0.0.1:9/bootstrap]: {REFUSED}")),
            pair("127.0.0.1:9", "connection refused")
        );
        let unknown = "none:9092/bootstrap: Failed to resolve 'none:9092': Name or service not known (after 3ms in state \
                       CONNECT)";
        assert_eq!(broker_in(unknown), pair("none:9092", "name or service not known"));
        let other = "GroupCoordinator: b.example:9093: Disconnected (after 12ms in state UP)";
        assert_eq!(broker_in(other), pair("b.example:9093", "disconnected"));
        let ssl =
            "sasl_ssl://[::1]:9093/2: SSL handshake failed: certificate expired (after 5ms in state SSL_HANDSHAKE)";
        assert_eq!(broker_in(ssl), pair("[::1]:9093", "certificate expired"));
        assert_eq!(broker_in("1/1 brokers are down"), None);
        assert!(is_about_bootstrap(REFUSED) && !is_about_bootstrap(other) && !is_about_bootstrap(ssl));
        assert_eq!(broker_in("a:1/1: Disconnected: SSL closed"), pair("a:1", "SSL closed"));
        let hung_up = "a:1/bootstrap: Disconnected: connection closed by peer: receive 0 after POLLIN (after 0ms in state \
                       APIVERSION_QUERY)";
        assert_eq!(broker_in(hung_up), pair("a:1", "it hangs up at the first request: does this port want TLS?"));
        let silent = "a:1/bootstrap: ApiVersionRequest failed: Local: Timed out: probably due to broker version < 0.10 (see \
                      api.version.request configuration) (after 10007ms in state APIVERSION_QUERY)";
        let meant = "it takes the connection and says nothing: is this a broker's port?";
        assert_eq!(broker_in(silent), pair("a:1", meant));
    }
}
