//! The text of a broker's `server.properties`.

use std::fmt::Write as _;

use crate::cluster::{Cluster, NodeAddress};

/// The properties that follow from other options, so that `--property` may not set them.
const RESERVED_PROPERTIES: [&str; 10] = [
    "process.roles",
    "node.id",
    "broker.id",
    "controller.quorum.voters",
    "controller.quorum.bootstrap.servers",
    "controller.listener.names",
    "listeners",
    "advertised.listeners",
    "log.dir",
    "log.dirs",
];

/// Parses the `key=value` of `--property`.
pub(crate) fn parse_property(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected key=value")?;
    let (key, value) = (key.trim(), value.trim());
    if key.is_empty() || key.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("the key before `=` is not the name of a property".to_owned());
    }
    if RESERVED_PROPERTIES.contains(&key) {
        return Err(format!("`{key}` follows from --dir, --port and --brokers"));
    }
    Ok((key.to_owned(), value.to_owned()))
}

/// The properties of a node, which is broker and controller; `data` is the directory of its records.
///
/// Internal topics have few partitions and the log cleaner has a small buffer, because defaults for production would fill
/// the small heap. Sessions are short, so that a killed broker can register again within seconds.
pub(crate) fn server(cluster: &Cluster, address: NodeAddress, data: &str) -> String {
    let NodeAddress { id, port, controller } = address;
    let voters: Vec<String> =
        cluster.nodes().map(|address| format!("{}@127.0.0.1:{}", address.id, address.controller)).collect();
    let replicas = cluster.replication().to_string();
    let in_sync = cluster.min_in_sync().to_string();
    let mut properties: Vec<(&str, String)> = vec![
        ("process.roles", "broker,controller".to_owned()),
        ("node.id", id.to_string()),
        ("controller.quorum.voters", voters.join(",")),
        ("listeners", format!("PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}")),
        ("advertised.listeners", format!("PLAINTEXT://127.0.0.1:{port}")),
        ("controller.listener.names", "CONTROLLER".to_owned()),
        ("inter.broker.listener.name", "PLAINTEXT".to_owned()),
        ("listener.security.protocol.map", "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT".to_owned()),
        ("log.dirs", data.to_owned()),
        ("default.replication.factor", replicas.clone()),
        ("min.insync.replicas", in_sync.clone()),
        ("offsets.topic.replication.factor", replicas.clone()),
        ("offsets.topic.num.partitions", "5".to_owned()),
        ("transaction.state.log.replication.factor", replicas.clone()),
        ("transaction.state.log.min.isr", in_sync.clone()),
        ("transaction.state.log.num.partitions", "5".to_owned()),
        ("share.coordinator.state.topic.replication.factor", replicas),
        ("share.coordinator.state.topic.min.isr", in_sync),
        // Nodes that stop together lose their quorum of controllers. A broker that then requests a controlled shutdown
        // retries for five minutes. It stops as cleanly without.
        ("controlled.shutdown.enable", (cluster.brokers() == 1).to_string()),
        ("group.initial.rebalance.delay.ms", "0".to_owned()),
        ("group.min.session.timeout.ms", "0".to_owned()),
        ("log.cleaner.dedupe.buffer.size", "2097152".to_owned()),
        ("broker.session.timeout.ms", "1500".to_owned()),
        ("broker.heartbeat.interval.ms", "300".to_owned()),
    ];
    for (key, value) in &cluster.properties {
        properties.retain(|(own, _)| own != key);
        properties.push((key, value.clone()));
    }
    let mut text = String::from("# Written by `aqpipe kafka up` at every start: use --property to change it.\n");
    for (key, value) in properties {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}={}", escape(key, true), escape(&value, false));
    }
    text
}

/// Escapes text for a Java properties file: Latin-1, everything else as UTF-16 escapes.
fn escape(text: &str, key: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for (at, c) in text.chars().enumerate() {
        match c {
            '\\' => escaped.push_str("\\\\"),
            '=' | ':' | '#' | '!' if key => escaped.extend(['\\', c]),
            ' ' if key || at == 0 => escaped.push_str("\\ "),
            ' '..='~' => escaped.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(escaped, "\\u{unit:04x}");
                }
            }
        }
    }
    escaped
}

/// The logging configuration of a broker: INFO and above go to the file of the Java property `aqpipe.log`, with three
/// older files of 10 MB.
pub(crate) const LOG4J2: &str = "\
# Written by `aqpipe kafka up` at every start.
status = warn
shutdownHook = disable
appender.file.type = RollingFile
appender.file.name = file
appender.file.fileName = ${sys:aqpipe.log}
appender.file.filePattern = ${sys:aqpipe.log}.%i
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = [%d] %p %m (%c)%n
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 10MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 3
rootLogger.level = info
rootLogger.appenderRef.file.ref = file
";

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(brokers: u16) -> Cluster {
        Cluster {
            port: 9092,
            controllers: (0..brokers).map(|at| 9192 + at).collect(),
            properties: [("min.insync.replicas".to_owned(), "1".to_owned())].into(),
        }
    }

    fn properties(brokers: u16, node: usize) -> Vec<(String, String)> {
        let cluster = cluster(brokers);
        let address = cluster.nodes().nth(node - 1).unwrap();
        server(&cluster, address, "/tmp/data")
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.split_once('=').unwrap())
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    }

    fn get(properties: &[(String, String)], key: &str) -> String {
        let mut found = properties.iter().filter(|(name, _)| name == key);
        let value = found.next().unwrap_or_else(|| panic!("no {key}")).1.clone();
        assert!(found.next().is_none(), "{key} twice");
        value
    }

    #[test]
    fn a_single_node_keeps_one_replica_on_loopback() {
        let properties = properties(1, 1);
        assert_eq!(get(&properties, "listeners"), "PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9192");
        assert_eq!(get(&properties, "controller.quorum.voters"), "1@127.0.0.1:9192");
        assert_eq!(get(&properties, "transaction.state.log.replication.factor"), "1");
        assert_eq!(get(&properties, "transaction.state.log.min.isr"), "1");
    }

    #[test]
    fn the_third_of_three_nodes_has_its_own_ports_and_three_replicas() {
        let properties = properties(3, 3);
        assert_eq!(get(&properties, "node.id"), "3");
        assert_eq!(get(&properties, "advertised.listeners"), "PLAINTEXT://127.0.0.1:9094");
        assert_eq!(get(&properties, "controller.quorum.voters"), "1@127.0.0.1:9192,2@127.0.0.1:9193,3@127.0.0.1:9194");
        assert_eq!(get(&properties, "offsets.topic.replication.factor"), "3");
        assert_eq!(get(&properties, "transaction.state.log.min.isr"), "2");
    }

    #[test]
    fn a_given_property_replaces_the_own_one() {
        assert_eq!(get(&properties(3, 1), "min.insync.replicas"), "1");
    }

    #[test]
    fn properties_that_the_command_decides_are_refused() {
        for key in RESERVED_PROPERTIES {
            assert!(parse_property(&format!("{key}=1")).is_err(), "{key} was taken");
        }
        assert_eq!(parse_property("log.retention.ms = -1").unwrap(), ("log.retention.ms".to_owned(), "-1".to_owned()));
        assert!(parse_property("=1").is_err());
        assert!(parse_property("a b=1").is_err());
    }

    #[test]
    fn values_are_escaped_for_java() {
        assert_eq!(escape(" a\\b=ü\n😀", false), "\\ a\\\\b=\\u00fc\\u000a\\ud83d\\ude00");
        assert_eq!(escape("a=b c", true), "a\\=b\\ c");
    }
}
