//! The address of the listener.

use std::net::SocketAddr;

/// Why an address is none for the listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAddressProblem {
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// What to do about it.
    pub help: &'static str,
}

/// The address of `http`, or of `--http`.
///
/// # Errors
/// Where it is no address with a port, or other machines reach it although nobody allowed that.
pub fn http_address(text: &str, allow_remote: bool) -> Result<SocketAddr, HttpAddressProblem> {
    let Ok(address) = text.parse::<SocketAddr>() else {
        return Err(HttpAddressProblem {
            message: format!("`{text}` is not an IP address with a port"),
            help: "write it as `127.0.0.1:9600`, or as `[::1]:9600`",
        });
    };
    if !address.ip().is_loopback() && !allow_remote {
        return Err(HttpAddressProblem {
            message: format!("other machines reach `{text}`, and could see values and records there"),
            help: "set `http_allow_remote = true` in [monitor] where that is meant, with a token in `http_token_env`, or use \
                   `127.0.0.1`",
        });
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_port_and_is_loopback_unless_more_is_allowed() {
        for (text, allow_remote, works) in [
            ("127.0.0.1:9600", false, true),
            ("127.9.9.9:0", false, true),
            ("[::1]:9600", false, true),
            ("0.0.0.0:9600", true, true),
            ("0.0.0.0:9600", false, false),
            ("[::]:9600", false, false),
            ("192.168.1.7:9600", false, false),
            ("127.0.0.1", true, false),
            ("localhost:9600", true, false),
            ("127.0.0.1:99999", true, false),
            ("", true, false),
        ] {
            assert_eq!(http_address(text, allow_remote).is_ok(), works, "{text}");
        }
        let problem = http_address("0.0.0.0:9600", false).expect_err("remote");
        assert!(problem.help.contains("`http_allow_remote = true`"), "{problem:?}");
    }
}
