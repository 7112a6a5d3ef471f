//! What the network carries on the way to a target, as far as this host knows: the speed of the interface that the route to it
//! uses. Sends nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;

use nix::ifaddrs::{InterfaceAddress, getifaddrs};

/// A folder for each interface (kernel documentation, ABI/testing/sysfs-class-net).
const INTERFACES: &str = "/sys/class/net";

/// Bytes per second in one direction; `None` of a target on this host, and where the interface does not tell.
pub(crate) fn bytes_per_s(target: SocketAddr) -> Option<u64> {
    speed(&Path::new(INTERFACES).join(interface_to(target)?))
}

fn interface_to(target: SocketAddr) -> Option<String> {
    // What it asks of this host's own addresses does not leave it.
    let local = local_address(target).filter(|local| *local != target.ip())?;
    let mut interfaces = getifaddrs().ok()?;
    interfaces.find(|interface| address(interface) == Some(local)).map(|interface| interface.interface_name)
}

/// The one that the route begins with: connecting a datagram socket asks for the route and sends nothing.
fn local_address(target: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = match target {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(target).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

fn address(interface: &InterfaceAddress) -> Option<IpAddr> {
    let address = interface.address.as_ref()?;
    let v4 = || address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
    let v6 = || address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip()));
    v4().or_else(v6)
}

/// Of an interface with a device; what bridges, tunnels and pairs of virtual interfaces tell is made up. Mbit/s, or -1 where it is
/// not known.
fn speed(interface: &Path) -> Option<u64> {
    if !interface.join("device").exists() {
        return None;
    }
    let text = std::fs::read_to_string(interface.join("speed")).ok()?;
    let mbits_per_s = text.trim().parse::<u64>().ok().filter(|speed| *speed > 0)?;
    mbits_per_s.checked_mul(1_000_000 / 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_is_that_of_a_device() {
        let folder = tempfile::tempdir().unwrap();
        let tells = |text: &str| std::fs::write(folder.path().join("speed"), text).unwrap();
        tells("1000\n");
        assert_eq!(speed(folder.path()), None, "a virtual one");
        std::fs::create_dir(folder.path().join("device")).unwrap();
        assert_eq!(speed(folder.path()), Some(125_000_000));
        for unknown in ["-1\n", "0\n", "", "fast", "18446744073709551615"] {
            tells(unknown);
            assert_eq!(speed(folder.path()), None, "{unknown:?}");
        }
        std::fs::remove_file(folder.path().join("speed")).unwrap();
        assert_eq!(speed(folder.path()), None);
    }

    #[test]
    fn this_host_is_reached_by_no_interface_that_limits_it() {
        let own = getifaddrs().unwrap().filter_map(|interface| address(&interface));
        // Nobody routes to a link-local address without the interface's number.
        let own = own.filter(|ip| !matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local()));
        let own: Vec<IpAddr> = own.collect();
        assert!(!own.is_empty());
        for ip in own {
            assert_eq!(bytes_per_s(SocketAddr::new(ip, 9)), None, "{ip}");
        }
    }
}
