//! Where connections come from: on loopback, when the local ports of one address run short, the next
//! address has a whole range of them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Loopback addresses used as sources.
const SOURCES_MAX: u16 = 250;

/// The source address in use.
#[derive(Debug, Default)]
pub struct Source {
    /// Counted from 127.0.0.1; 0 lets the kernel choose.
    steps: u16,
}

impl Source {
    /// The address to bind to, any port; `None` lets the kernel choose.
    pub fn address(&self) -> Option<SocketAddr> {
        let address = Ipv4Addr::from(u32::from(Ipv4Addr::LOCALHOST) + u32::from(self.steps));
        (self.steps > 0).then(|| SocketAddr::from((address, 0)))
    }

    /// Moves on to the next address if `error` says that this one has no free port; false if that is
    /// not so, or there is no other.
    pub fn move_on(&mut self, target: SocketAddr, error: &io::Error) -> bool {
        let out_of_ports = matches!(error.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::AddrInUse);
        let on_loopback = matches!(target.ip(), IpAddr::V4(ip) if ip.is_loopback());
        let can = out_of_ports && on_loopback && self.steps < SOURCES_MAX;
        self.steps += u16::from(can);
        can
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_loopback_addresses_and_bounded() {
        let target = SocketAddr::from(([127, 0, 0, 1], 80));
        let out_of_ports = io::Error::from(io::ErrorKind::AddrNotAvailable);
        let mut source = Source::default();
        assert_eq!(source.address(), None);
        let mut addresses = Vec::new();
        while source.move_on(target, &out_of_ports) {
            addresses.push(source.address().unwrap());
        }
        assert_eq!(addresses.len(), usize::from(SOURCES_MAX));
        assert_eq!(addresses[0], SocketAddr::from(([127, 0, 0, 2], 0)));
        assert!(addresses.iter().all(|address| address.ip().is_loopback()));
    }

    #[test]
    fn other_errors_and_other_targets_stay_where_they_are() {
        let out_of_ports = io::Error::from(io::ErrorKind::AddrNotAvailable);
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        let mut source = Source::default();
        assert!(!source.move_on(SocketAddr::from(([127, 0, 0, 1], 80)), &refused));
        assert!(!source.move_on(SocketAddr::from(([10, 0, 0, 1], 80)), &out_of_ports));
        assert_eq!(source.address(), None);
    }
}
