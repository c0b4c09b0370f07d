//! Free ports on loopback.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use aqpipe_engine::{Error, Result};

/// How long a connection on loopback may take.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// How many ports after those of the brokers are tried for controllers, before the system chooses.
const CONTROLLER_PORT_DISTANCE_MAX: u16 = 50;

/// Whether something on this machine accepts connections at `port`.
pub(crate) fn answers(port: u16) -> bool {
    let stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), CONNECT_TIMEOUT);
    // Where nobody listens, a connection whose own end gets this very port is a connection with itself.
    stream.is_ok_and(|stream| stream.local_addr().ok() != stream.peer_addr().ok())
}

fn is_free(port: u16) -> bool {
    // A listener on all addresses leaves loopback free to bind on some systems, so connecting is tried as well.
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() && !answers(port)
}

/// Checks that a broker can listen at `port`.
pub(crate) fn check_free(port: u16) -> Result<()> {
    let other = "choose another one with `--port`";
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(listener) => drop(listener),
        Err(error) if error.kind() == ErrorKind::AddrInUse => return Err(in_use(port)),
        Err(error) => {
            return Err(Error::new(format!("cannot listen at 127.0.0.1:{port}")).because(error).help(other));
        }
    }
    if answers(port) { Err(in_use(port)) } else { Ok(()) }
}

fn in_use(port: u16) -> Error {
    Error::new(format!("port {port} is in use by something that this command did not start in this directory")).help(
        "`lsof -i` or `ss -ltnp` names the program; choose another port with `--port`, or name the `--dir` of the Kafka \
         that runs there",
    )
}

/// Finds `count` free ports for controllers, from `first` on where possible, which keeps them out of the range of
/// ephemeral ports.
pub(crate) fn free_after(first: u16, count: u16) -> Result<Vec<u16>> {
    let mut ports: Vec<u16> = (first..=first.saturating_add(CONTROLLER_PORT_DISTANCE_MAX))
        .filter(|&port| port != 0 && is_free(port))
        .take(usize::from(count))
        .collect();
    // The listeners are held until all ports are found, so that no port is found twice.
    let mut listeners = Vec::new();
    while ports.len() < usize::from(count) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let (port, listener) = listener
            .and_then(|listener| Ok((listener.local_addr()?.port(), listener)))
            .map_err(|error| Error::new("no free port for a controller").because(error))?;
        if !ports.contains(&port) {
            ports.push(port);
        }
        listeners.push(listener);
    }
    Ok(ports)
}

/// Whether all of `ports` are free.
pub(crate) fn all_free(ports: &[u16]) -> bool {
    ports.iter().copied().all(is_free)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_port_with_a_listener_is_in_use_and_is_skipped() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let error = check_free(port).unwrap_err();
        assert!(error.to_string().contains(&format!("port {port} is in use")), "{error}");
        assert!(!free_after(port, 3).unwrap().contains(&port));
    }

    #[test]
    fn a_connection_with_itself_is_no_answer() {
        // One of those that connections get for their own ends; Linux tries the even ones first.
        let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
        let Some(first) = range.split_whitespace().next().and_then(|first| first.parse::<u16>().ok()) else { return };
        let port = (first..).find(|port| port % 2 == 0 && is_free(*port)).unwrap();
        // As many as there are such ports, and more.
        assert!((0..40_000).all(|_| !answers(port)), "nobody listens at {port}");
    }

    #[test]
    fn ports_are_found_beside_the_end_of_the_range() {
        let ports: BTreeSet<u16> = free_after(u16::MAX, 3).unwrap().into_iter().collect();
        assert_eq!(ports.len(), 3);
        assert!(!ports.contains(&0));
    }
}
