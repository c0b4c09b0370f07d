//! The description of a directory's cluster, and how the arguments of `up` change it.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;

use aqpipe_engine::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::data_dir::{DataDir, write_whole};
use crate::ports;

/// The port of the first broker, unless one is given.
const DEFAULT_PORT: u16 = 9092;
/// The highest replication factor, however many brokers run.
const REPLICATION_MAX: u16 = 3;

/// A cluster of combined nodes, each a broker and a controller on loopback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cluster {
    /// The first broker's port; the others take the next ones.
    pub(crate) port: u16,
    /// The port of each node's controller.
    pub(crate) controllers: Vec<u16>,
    /// The properties that were given by `--property`.
    pub(crate) properties: BTreeMap<String, String>,
}

/// The id of a node, from 1, and its ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NodeAddress {
    pub(crate) id: u16,
    pub(crate) port: u16,
    pub(crate) controller: u16,
}

/// The options of `up` that describe a cluster.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ClusterRequest<'a> {
    pub(crate) port: Option<u16>,
    pub(crate) brokers: Option<u16>,
    pub(crate) properties: &'a [(String, String)],
}

impl Cluster {
    /// Reads the description of the cluster that was started in a directory before.
    pub(crate) fn load(data_dir: &DataDir) -> Result<Option<Cluster>> {
        let path = data_dir.cluster_file();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::new(format!("cannot read `{}`", path.display())).because(error)),
        };
        let parsed = serde_json::from_str::<Cluster>(&text).map_err(|error| error.to_string());
        parsed.and_then(Cluster::checked).map(Some).map_err(|error| {
            Error::new(format!("`{}` was not written by this command", path.display()))
                .because(error)
                .help("remove it: `aqpipe kafka up` writes a new one (name `--brokers` if there were several)")
        })
    }

    fn checked(self) -> Result<Cluster, String> {
        let count = u16::try_from(self.controllers.len()).unwrap_or(u16::MAX);
        if count == 0 || count > 9 || self.port == 0 || self.port.checked_add(count - 1).is_none() {
            return Err("ports or controllers are out of bounds".to_owned());
        }
        Ok(self)
    }

    pub(crate) fn save(&self, data_dir: &DataDir) -> Result<()> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| Error::bug("the description of the cluster has no JSON form").because(error))?;
        write_whole(&data_dir.cluster_file(), &format!("{text}\n"))
    }

    /// Plans the cluster to run: the recorded one with the requested changes. While any of it is `running`, no change is
    /// allowed.
    pub(crate) fn plan(recorded: Option<Cluster>, request: ClusterRequest<'_>, running: bool) -> Result<Cluster> {
        let Some(recorded) = recorded else {
            let (port, brokers) = (request.port.unwrap_or(DEFAULT_PORT), request.brokers.unwrap_or(1));
            let controllers = ports::free_after(port_after(port, brokers)?, brokers)?;
            return Ok(Cluster { port, controllers, properties: request.properties.iter().cloned().collect() });
        };
        let mut cluster = recorded.clone();
        let brokers = cluster.brokers();
        if let Some(requested) = request.brokers.filter(|&requested| requested != brokers) {
            return Err(Error::new(format!("the cluster in this directory has {brokers} broker(s), not {requested}"))
                .help("leave `--brokers` out, or choose another place with `--dir`"));
        }
        cluster.port = request.port.unwrap_or(cluster.port);
        if !request.properties.is_empty() {
            cluster.properties = request.properties.iter().cloned().collect();
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
            let first = port_after(cluster.port, brokers)?;
            let own = cluster.port..first;
            if cluster.controllers.iter().any(|port| own.contains(port)) || !ports::all_free(&cluster.controllers) {
                cluster.controllers = ports::free_after(first, brokers)?;
            }
        }
        Ok(cluster)
    }

    pub(crate) fn brokers(&self) -> u16 {
        // `checked` bounds the length.
        u16::try_from(self.controllers.len()).unwrap_or(u16::MAX)
    }

    pub(crate) fn nodes(&self) -> impl Iterator<Item = NodeAddress> {
        (1..).zip(&self.controllers).map(|(id, &controller)| NodeAddress { id, port: self.port + (id - 1), controller })
    }

    /// The replication factor.
    pub(crate) fn replication(&self) -> u16 {
        self.brokers().min(REPLICATION_MAX)
    }

    /// The in-sync replicas without which a write is refused: one broker may be down.
    pub(crate) fn min_in_sync(&self) -> u16 {
        (self.replication() - 1).max(1)
    }

    /// The bootstrap servers.
    pub(crate) fn bootstrap(&self) -> String {
        let addresses: Vec<String> = self.nodes().map(|address| format!("127.0.0.1:{}", address.port)).collect();
        addresses.join(",")
    }
}

/// The port after that of the last broker.
fn port_after(port: u16, brokers: u16) -> Result<u16> {
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
        let data_dir = DataDir::at(dir.path()).unwrap();
        assert_eq!(Cluster::load(&data_dir).unwrap(), None);
        recorded().save(&data_dir).unwrap();
        assert_eq!(Cluster::load(&data_dir).unwrap(), Some(recorded()));
    }

    #[test]
    fn a_damaged_record_is_an_error_that_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = DataDir::at(dir.path()).unwrap();
        for text in ["", "{}", r#"{"port":65535,"controllers":[1,2],"properties":{}}"#] {
            fs::write(data_dir.cluster_file(), text).unwrap();
            let error = Cluster::load(&data_dir).unwrap_err();
            assert!(error.to_string().contains("cluster.json"), "{error}");
        }
    }

    #[test]
    fn three_brokers_take_consecutive_ports_and_controllers_take_others() {
        let request = ClusterRequest { port: Some(20000), brokers: Some(3), ..ClusterRequest::default() };
        let cluster = Cluster::plan(None, request, false).unwrap();
        assert_eq!(cluster.bootstrap(), "127.0.0.1:20000,127.0.0.1:20001,127.0.0.1:20002");
        assert_eq!(cluster.controllers.len(), 3);
        assert!(cluster.controllers.iter().all(|port| !(20000..20003).contains(port)));
        assert_eq!((cluster.replication(), cluster.min_in_sync()), (3, 2));
    }

    #[test]
    fn the_recorded_cluster_stays_unless_a_change_is_requested() {
        assert_eq!(Cluster::plan(Some(recorded()), ClusterRequest::default(), true).unwrap(), recorded());
        let moved =
            Cluster::plan(Some(recorded()), ClusterRequest { port: Some(20100), ..ClusterRequest::default() }, false)
                .unwrap();
        assert_eq!(moved.port, 20100);
    }

    #[test]
    fn a_running_cluster_keeps_port_and_properties() {
        let properties = [("log.retention.ms".to_owned(), "1".to_owned())];
        for request in [
            ClusterRequest { port: Some(20100), ..ClusterRequest::default() },
            ClusterRequest { properties: &properties, ..ClusterRequest::default() },
        ] {
            let error = Cluster::plan(Some(recorded()), request, true).unwrap_err();
            assert!(error.to_string().contains("already running, at 127.0.0.1:19092"), "{error}");
        }
    }

    #[test]
    fn the_number_of_brokers_never_changes() {
        let request = ClusterRequest { brokers: Some(3), ..ClusterRequest::default() };
        let error = Cluster::plan(Some(recorded()), request, false).unwrap_err();
        assert!(error.to_string().contains("has 1 broker(s), not 3"), "{error}");
    }

    #[test]
    fn ports_above_the_last_one_are_an_error() {
        let request = ClusterRequest { port: Some(65534), brokers: Some(3), ..ClusterRequest::default() };
        assert!(Cluster::plan(None, request, false).is_err());
    }
}
