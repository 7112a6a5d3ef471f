//! Where connections come from: on loopback, when the local ports of one address run short, the next
//! address has a whole range of them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;

use nix::sys::socket::setsockopt;
use nix::{libc, setsockopt_impl, sockopt_impl};
use schemars::JsonSchema;
use serde::Serialize;

/// Loopback addresses used as sources.
const SOURCES_MAX: u16 = 250;

/// First and last port of those that the kernel chooses from for a connection (`net.ipv4.ip_local_port_range`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LocalPorts(pub u16, pub u16);

impl LocalPorts {
    /// As this host has them; `None` if it does not tell.
    pub fn read() -> Option<Self> {
        Self::parse(&std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.trim().split_once(char::is_whitespace)?;
        Some(Self(first.parse().ok()?, last.trim().parse().ok()?))
    }

    /// Ports of one source address.
    pub fn count(self) -> u64 {
        u64::from(self.1.saturating_sub(self.0)) + 1
    }

    /// Lets a socket look through all of them. Without a range of its own the kernel prefers every second port, and once
    /// these are taken looks through them in vain first, at each connection (3 ms for 14,000 of them).
    ///
    /// # Errors
    /// As `setsockopt(2)`: kernels before 6.3 do not have it.
    pub fn open_to(self, socket: &impl AsFd) -> io::Result<()> {
        // The value as ip(7) has it.
        let range = u32::from(self.1) << 16 | u32::from(self.0);
        Ok(setsockopt(socket, LocalPortRange, &range)?)
    }
}

/// From `linux/in.h`.
const IP_LOCAL_PORT_RANGE: libc::c_int = 51;

sockopt_impl!(
    /// The ports that a socket may choose from, see ip(7).
    LocalPortRange,
    SetOnly,
    libc::IPPROTO_IP,
    IP_LOCAL_PORT_RANGE,
    u32
);

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
    fn port_ranges() {
        for (text, expected) in [
            ("32768\t60999\n", Some(LocalPorts(32_768, 60_999))),
            ("1024 65535", Some(LocalPorts(1024, 65_535))),
            ("1024", None),
            ("a b", None),
        ] {
            assert_eq!(LocalPorts::parse(text), expected, "{text:?}");
        }
    }

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
