//! What a directory's Kafka consists of, and how the arguments of `up` change that.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;

use aqpipe_engine::{Error, Result};
use serde::{Deserialize, Serialize};

use super::home::{Home, write_whole};
use super::ports;

/// The port of the first broker, unless one is given.
const PORT: u16 = 9092;
/// How many copies of a record are enough, however many brokers run.
const REPLICATION_MAX: u16 = 3;

/// A cluster of combined nodes, each a broker and a controller on loopback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cluster {
    /// The first broker's port; the others take the next ones.
    pub(super) port: u16,
    /// The port of each node's controller.
    pub(super) controllers: Vec<u16>,
    /// The properties that were given by `--property`.
    pub(super) properties: BTreeMap<String, String>,
}

/// One node's number, from 1, and ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) id: u16,
    pub(super) port: u16,
    pub(super) controller: u16,
}

/// What `up` was asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wish<'a> {
    pub(super) port: Option<u16>,
    pub(super) brokers: Option<u16>,
    pub(super) properties: &'a [(String, String)],
}

impl Cluster {
    /// What was started in a directory before, if anything was.
    pub(super) fn load(home: &Home) -> Result<Option<Cluster>> {
        let path = home.cluster_file();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::new(format!("cannot read `{}`", path.display())).because(error)),
        };
        let parsed = serde_json::from_str::<Cluster>(&text).map_err(|error| error.to_string());
        parsed.and_then(Cluster::checked).map(Some).map_err(|error| {
            Error::new(format!("`{}` is not a file of this command", path.display()))
                .because(error)
                .help("remove it: `aqpipe kafka up` writes a new one (say `--brokers` if there were several)")
        })
    }

    fn checked(self) -> Result<Cluster, String> {
        let count = u16::try_from(self.controllers.len()).unwrap_or(u16::MAX);
        if count == 0 || count > 9 || self.port == 0 || self.port.checked_add(count - 1).is_none() {
            return Err("ports or controllers are out of bounds".to_owned());
        }
        Ok(self)
    }

    pub(super) fn save(&self, home: &Home) -> Result<()> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| Error::bug("the description of the cluster has no JSON form").because(error))?;
        write_whole(&home.cluster_file(), &format!("{text}\n"))
    }

    /// The cluster to run: what was recorded, changed as wished. While a part of it is `running` it changes in nothing.
    pub(super) fn plan(recorded: Option<Cluster>, wish: Wish<'_>, running: bool) -> Result<Cluster> {
        let Some(recorded) = recorded else {
            let (port, brokers) = (wish.port.unwrap_or(PORT), wish.brokers.unwrap_or(1));
            let controllers = ports::free_after(end(port, brokers)?, brokers)?;
            return Ok(Cluster { port, controllers, properties: wish.properties.iter().cloned().collect() });
        };
        let mut cluster = recorded.clone();
        let brokers = cluster.brokers();
        if let Some(wished) = wish.brokers.filter(|&wished| wished != brokers) {
            return Err(Error::new(format!("the cluster in this directory has {brokers} broker(s), not {wished}"))
                .help("leave `--brokers` out, or choose another place with `--dir`"));
        }
        cluster.port = wish.port.unwrap_or(cluster.port);
        if !wish.properties.is_empty() {
            cluster.properties = wish.properties.iter().cloned().collect();
        }
        if running {
            if cluster != recorded {
                return Err(Error::new(format!(
                    "it is already running, at {} and with {}",
                    recorded.bootstrap(),
                    describe(&recorded.properties)
                ))
                .help("stop it first with `aqpipe kafka down`, or choose another place with `--dir`"));
            }
        } else {
            let first = end(cluster.port, brokers)?;
            let own = cluster.port..first;
            if cluster.controllers.iter().any(|port| own.contains(port)) || !ports::all_free(&cluster.controllers) {
                cluster.controllers = ports::free_after(first, brokers)?;
            }
        }
        Ok(cluster)
    }

    pub(super) fn brokers(&self) -> u16 {
        // `checked` bounds the length.
        u16::try_from(self.controllers.len()).unwrap_or(u16::MAX)
    }

    pub(super) fn members(&self) -> impl Iterator<Item = Member> {
        (1..).zip(&self.controllers).map(|(id, &controller)| Member { id, port: self.port + (id - 1), controller })
    }

    /// Copies of each record.
    pub(super) fn replication(&self) -> u16 {
        self.brokers().min(REPLICATION_MAX)
    }

    /// Copies without which nothing is acknowledged: one broker may be gone.
    pub(super) fn min_in_sync(&self) -> u16 {
        (self.replication() - 1).max(1)
    }

    /// The brokers' addresses, as clients want them.
    pub(super) fn bootstrap(&self) -> String {
        let addresses: Vec<String> = self.members().map(|member| format!("127.0.0.1:{}", member.port)).collect();
        addresses.join(",")
    }
}

/// The port after the last broker's.
fn end(port: u16, brokers: u16) -> Result<u16> {
    port.checked_add(brokers).ok_or_else(|| {
        Error::new(format!("{brokers} broker(s) from port {port} on need ports above 65535"))
            .help("choose a lower `--port`")
    })
}

fn describe(properties: &BTreeMap<String, String>) -> String {
    if properties.is_empty() {
        return "no `--property`".to_owned();
    }
    let each: Vec<String> = properties.iter().map(|(key, value)| format!("`{key}={value}`")).collect();
    each.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded() -> Cluster {
        Cluster { port: 19092, controllers: vec![19192], properties: BTreeMap::new() }
    }

    #[test]
    fn a_cluster_is_read_back_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path()).unwrap();
        assert_eq!(Cluster::load(&home).unwrap(), None);
        recorded().save(&home).unwrap();
        assert_eq!(Cluster::load(&home).unwrap(), Some(recorded()));
    }

    #[test]
    fn a_damaged_record_is_an_error_that_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path()).unwrap();
        for text in ["", "{}", r#"{"port":65535,"controllers":[1,2],"properties":{}}"#] {
            fs::write(home.cluster_file(), text).unwrap();
            let error = Cluster::load(&home).unwrap_err();
            assert!(error.to_string().contains("cluster.json"), "{error}");
        }
    }

    #[test]
    fn three_brokers_take_consecutive_ports_and_controllers_take_others() {
        let wish = Wish { port: Some(20000), brokers: Some(3), ..Wish::default() };
        let cluster = Cluster::plan(None, wish, false).unwrap();
        assert_eq!(cluster.bootstrap(), "127.0.0.1:20000,127.0.0.1:20001,127.0.0.1:20002");
        assert_eq!(cluster.controllers.len(), 3);
        assert!(cluster.controllers.iter().all(|port| !(20000..20003).contains(port)));
        assert_eq!((cluster.replication(), cluster.min_in_sync()), (3, 2));
    }

    #[test]
    fn what_was_recorded_stays_unless_something_else_is_wished() {
        assert_eq!(Cluster::plan(Some(recorded()), Wish::default(), true).unwrap(), recorded());
        let moved = Cluster::plan(Some(recorded()), Wish { port: Some(20100), ..Wish::default() }, false).unwrap();
        assert_eq!(moved.port, 20100);
    }

    #[test]
    fn a_running_cluster_keeps_port_and_properties() {
        let properties = [("log.retention.ms".to_owned(), "1".to_owned())];
        for wish in [Wish { port: Some(20100), ..Wish::default() }, Wish { properties: &properties, ..Wish::default() }]
        {
            let error = Cluster::plan(Some(recorded()), wish, true).unwrap_err();
            assert!(error.to_string().contains("already running, at 127.0.0.1:19092"), "{error}");
        }
    }

    #[test]
    fn the_number_of_brokers_never_changes() {
        let wish = Wish { brokers: Some(3), ..Wish::default() };
        let error = Cluster::plan(Some(recorded()), wish, false).unwrap_err();
        assert!(error.to_string().contains("has 1 broker(s), not 3"), "{error}");
    }

    #[test]
    fn ports_above_the_last_one_are_an_error() {
        let wish = Wish { port: Some(65534), brokers: Some(3), ..Wish::default() };
        assert!(Cluster::plan(None, wish, false).is_err());
    }
}
