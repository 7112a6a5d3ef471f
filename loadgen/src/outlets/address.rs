//! Where an outlet listens.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, ToSocketAddrs as _};
use std::str::FromStr;

/// An address to listen at, loopback unless it says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address(SocketAddr);

/// Why an outlet cannot listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen at {address} ({flag}): {error}: {}", remedy(error))]
pub struct ListenError {
    /// The flag that asked for it.
    flag: &'static str,
    /// The address.
    address: SocketAddr,
    /// What the system said.
    error: std::io::Error,
}

impl Address {
    /// The port of this host's loopback.
    pub const fn loopback(port: u16) -> Self {
        Self(SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), port))
    }

    /// Listens there, for the outlet of this flag.
    ///
    /// # Errors
    /// If the address is taken, or not this host's.
    pub fn listen(self, flag: &'static str) -> Result<TcpListener, ListenError> {
        let listen_error = |error| ListenError { flag, address: self.0, error };
        let listener = TcpListener::bind(self.0).map_err(listen_error)?;
        listener.set_nonblocking(true).map_err(listen_error)?;
        Ok(listener)
    }
}

/// Where what listens at an address is found: by this host, and by others, to whom `0.0.0.0` says nothing.
pub fn url(address: SocketAddr, path: &str) -> String {
    let port = address.port();
    let host = match address {
        _ if !address.ip().is_unspecified() => return format!("http://{address}{path}"),
        SocketAddr::V4(_) => "127.0.0.1",
        SocketAddr::V6(_) => "[::1]",
    };
    format!("http://{host}:{port}{path} here; elsewhere with this host's name or address for {host}")
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(port) = text.parse() {
            return Ok(Self::loopback(port));
        }
        if let Ok(address) = text.parse() {
            return Ok(Self(address));
        }
        let names_port = text.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let resolved = names_port.then(|| text.to_socket_addrs().ok()?.next()).flatten();
        resolved.map(Self).ok_or_else(|| {
            format!("`{text}` is not an address to listen at: write a port, or an address and a port, such as 9464, 127.0.0.1:9464 or 0.0.0.0:9464")
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn remedy(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => "choose another port, or 0 for a free one",
        std::io::ErrorKind::AddrNotAvailable => "choose an address of this host, such as 127.0.0.1",
        std::io::ErrorKind::PermissionDenied => "choose a port above 1023",
        _ => "choose another address",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_loopback_unless_it_says_otherwise() {
        let parsed = |text: &str| text.parse::<Address>().map(|address| address.to_string());
        assert_eq!(parsed("9464").as_deref(), Ok("127.0.0.1:9464"));
        assert_eq!(parsed("0.0.0.0:80").as_deref(), Ok("0.0.0.0:80"));
        assert_eq!(parsed("[::1]:0").as_deref(), Ok("[::1]:0"));
        assert!(parsed("localhost:1").is_ok_and(|address| address.ends_with(":1")));
        for wrong in ["feed.toml", "", ":", "65536", "1.2.3.4", "no host:1"] {
            assert!(parsed(wrong).unwrap_err().contains("write a port"), "{wrong}");
        }
    }

    #[test]
    fn a_url_can_be_opened() {
        let url = |address: &str| url(address.parse().unwrap(), "/metrics");
        assert_eq!(url("192.0.2.7:80"), "http://192.0.2.7:80/metrics");
        let elsewhere = "here; elsewhere with this host's name or address for";
        assert_eq!(url("0.0.0.0:80"), format!("http://127.0.0.1:80/metrics {elsewhere} 127.0.0.1"));
        assert_eq!(url("[::]:80"), format!("http://[::1]:80/metrics {elsewhere} [::1]"));
    }

    #[test]
    fn a_port_in_use_is_told_with_the_flag_and_a_way_out() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = Address::loopback(port).listen("--prometheus").unwrap_err().to_string();
        assert!(error.contains(&format!("127.0.0.1:{port} (--prometheus)")), "{error}");
        assert!(error.ends_with("choose another port, or 0 for a free one"), "{error}");
    }
}
