//! What to do about an address that cannot be listened on.

use std::io;
use std::net::{IpAddr, SocketAddr};

use rustix::io::Errno;

/// Ports below are for services that the system starts, unless it is told otherwise.
const FREE_PORTS_FROM: u16 = 1_024;
const WHERE_TO_SET: &str = "in `http` of [monitor], or with `--http`";

/// What helps against the error of a system that refuses an address.
pub(super) fn bind_help(address: SocketAddr, error: &io::Error) -> String {
    let port = address.port();
    match Errno::from_io_error(error) {
        Some(Errno::ADDRINUSE) => {
            format!("another process listens there (`ss -ltnp` shows which): choose another port {WHERE_TO_SET}")
        }
        Some(Errno::ADDRNOTAVAIL) => format!(
            "no network interface of this machine has the address {} (`ip address` lists what they have): choose one of \
             theirs {WHERE_TO_SET}; `127.0.0.1` is always there",
            address.ip()
        ),
        Some(Errno::ACCESS | Errno::PERM) if (1..FREE_PORTS_FROM).contains(&port) => {
            format!(
                "ports below {FREE_PORTS_FROM} are for users with special rights: choose one such as 9600 {WHERE_TO_SET}"
            )
        }
        Some(Errno::ACCESS | Errno::PERM) => format!(
            "the system does not let this user listen there, as the rules of a container or a security module have it: \
             choose another address or port {WHERE_TO_SET}"
        ),
        Some(Errno::AFNOSUPPORT) => {
            format!(
                "this system does not speak IPv{}: use an address of the other version {WHERE_TO_SET}",
                version(address)
            )
        }
        Some(Errno::INVAL) if is_of_one_link(address) => {
            format!(
                "such an address is one of each network: name the interface by its number, as in `[fe80::1%2]:{port}`"
            )
        }
        Some(Errno::MFILE | Errno::NFILE) => "no more files can be opened: raise `ulimit -n`".to_owned(),
        Some(Errno::NOBUFS | Errno::NOMEM) => "the system has no memory for another connection".to_owned(),
        _ => format!("choose another address or port {WHERE_TO_SET}"),
    }
}

fn version(address: SocketAddr) -> u8 {
    if address.is_ipv6() { 6 } else { 4 }
}

fn is_of_one_link(address: SocketAddr) -> bool {
    matches!(address.ip(), IpAddr::V6(ip) if ip.is_unicast_link_local())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::TcpListener;

    use super::*;

    fn helped(address: &str, errno: Errno) -> String {
        bind_help(address.parse().expect("an address"), &errno.into())
    }

    #[test]
    fn each_error_has_its_own_help_and_only_a_port_in_use_is_said_to_be_in_use() {
        let helps = [
            helped("127.0.0.1:9600", Errno::ADDRINUSE),
            helped("192.0.2.1:9600", Errno::ADDRNOTAVAIL),
            helped("127.0.0.1:80", Errno::ACCESS),
            helped("127.0.0.1:9600", Errno::ACCESS),
            helped("[::1]:9600", Errno::AFNOSUPPORT),
            helped("[fe80::1]:9600", Errno::INVAL),
            helped("127.0.0.1:9600", Errno::MFILE),
            helped("127.0.0.1:9600", Errno::NOMEM),
            helped("127.0.0.1:9600", Errno::IO),
        ];
        assert_eq!(helps.iter().collect::<BTreeSet<_>>().len(), helps.len(), "{helps:#?}");
        assert_eq!(helps.iter().filter(|help| help.contains("another process")).count(), 1, "{helps:#?}");
        assert!(helps[1].contains("192.0.2.1") && helps[2].contains("below 1024"), "{helps:#?}");
    }

    #[test]
    fn the_system_says_so_of_an_address_of_another_machine() {
        // Reserved for documentation: no machine has it.
        let address: SocketAddr = "192.0.2.1:0".parse().expect("an address");
        let error = TcpListener::bind(address).expect_err("no such address here");
        assert!(bind_help(address, &error).starts_with("no network interface"), "{error}");
    }
}
