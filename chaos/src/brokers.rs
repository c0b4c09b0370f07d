//! The brokers of all trials of a command: three of them, or one behind a proxy.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::args::Args;
use crate::kafka::Cluster;
use crate::kafka::cluster::{ClusterOptions, free_ports};
use crate::printer;
use crate::proxy::Proxy;

/// The brokers, and the proxy before them.
pub(crate) struct Brokers {
    pub(crate) cluster: Cluster,
    pub(crate) proxy: Option<Proxy>,
}

impl Brokers {
    pub(crate) fn start(args: &Args, aqpipe: &Path, dir: &Path, seed: u64) -> Result<Brokers> {
        if args.proxy {
            if args.kafka_dir.is_some() {
                bail!("--proxy starts a broker of its own: leave --kafka-dir out");
            }
            return Brokers::behind_proxy(aqpipe, dir, seed);
        }
        let cluster = match &args.kafka_dir {
            Some(dir) => Cluster::attach(aqpipe, &std::path::absolute(dir)?)?,
            None => {
                let options = ClusterOptions { port: free_ports(6)?, brokers: 3, java_home: None };
                Cluster::start(aqpipe, &dir.join("kafka"), options)?
            }
        };
        printer::say(&format!("brokers at {}", cluster.bootstrap()));
        Ok(Brokers { cluster, proxy: None })
    }

    /// Starts one broker with two listeners: the one of `aqpipe kafka up`, which this program uses, and one whose
    /// advertised address is the proxy.
    fn behind_proxy(aqpipe: &Path, dir: &Path, seed: u64) -> Result<Brokers> {
        let port = free_ports(6)?;
        let behind = port + 5;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port for the proxy")?;
        let proxy = Proxy::start(listener, behind, seed).context("the proxy does not start")?;
        let home = dir.join("java");
        java_home(&home, port, behind, proxy.port())?;
        let options = ClusterOptions { port, brokers: 1, java_home: Some(home) };
        let cluster = Cluster::start(aqpipe, &dir.join("kafka"), options)?;
        printer::say(&format!("one broker at {}, its proxy at {}", cluster.bootstrap(), proxy.port()));
        Ok(Brokers { cluster, proxy: Some(proxy) })
    }
}

/// Makes a JAVA_HOME whose `java` adds a listener to the broker's properties, because `aqpipe kafka up` takes no listeners
/// as options.
fn java_home(home: &Path, port: u16, behind: u16, proxy: u16) -> Result<()> {
    let bin = home.join("bin");
    fs::create_dir_all(&bin)?;
    let script = bin.join("java");
    fs::write(
        &script,
        format!(
            "#!/bin/sh\nfor last; do :; done\ncase \"$last\" in */server.properties)\n\
             controller=$(sed -n 's/^listeners=.*,//p' \"$last\" | head -n 1)\n\
             cat >> \"$last\" <<END\n\
             listeners=PLAINTEXT://127.0.0.1:{port},PROXIED://127.0.0.1:{behind},$controller\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{port},PROXIED://127.0.0.1:{proxy}\n\
             listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT\n\
             END\nesac\nexec '{}' \"$@\"\n",
            java()?.display()
        ),
    )?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// The Java that `aqpipe kafka up` finds.
fn java() -> Result<PathBuf> {
    let home = std::env::var_os("JAVA_HOME").map(|home| Path::new(&home).join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = home.into_iter().chain(std::env::split_paths(&path));
    dirs.map(|dir| dir.join("java")).find(|java| java.is_file()).context("no java was found")
}
