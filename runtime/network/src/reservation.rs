// SPDX-License-Identifier: Apache-2.0
//! Host ports are reserved with a bound socket for as long as they belong to a pod: the kernel then refuses the port to
//! other processes of the node, and refuses it to us while one of them has it.
//!
//! The socket is only bound: it never listens, and no packet reaches it while the translation rule exists.
//!
//! An SCTP port is not reserved with a socket: creating one loads the kernel's SCTP module, which Kubernetes forbids
//! (it is an attack surface, and gets in the way of SCTP stacks in user space). [`crate::pods`] keeps pods from sharing
//! it.

use crate::binding::{Place, Protocol};
use crate::error::NetworkError;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, ipproto, socket_with, sockopt};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;

/// How many processes are searched for the one that has a port.
const MAX_PROCESSES: usize = 20_000;

/// The holder of a port, before it has been looked up.
pub const SOME_PROCESS: &str = "a process of the node";

/// A reserved host port; dropping it releases the port. `None` inside: an SCTP port, a family that this kernel lacks, or
/// what [`Self::without_socket`] says.
#[derive(Debug)]
pub struct Reservation(#[expect(dead_code, reason = "held, never used")] Option<OwnedFd>);

impl Reservation {
    /// A port that is kept from other pods alone: another socket of the pod has it, or a process of the node does.
    pub fn without_socket() -> Self {
        Self(None)
    }

    /// Takes the port from the kernel.
    ///
    /// - Shapes: the node need not have the address yet: addresses come and go with failover.
    ///
    /// # Errors
    /// [`NetworkError::HostPortTaken`] (the holder is not looked up: see [`holder`]),
    /// [`NetworkError::Reserve`].
    pub fn take(place: &Place) -> Result<Self, NetworkError> {
        match open(place) {
            Ok(held) => Ok(Self(held)),
            Err(Errno::ADDRINUSE) => Err(NetworkError::HostPortTaken { place: *place, holder: SOME_PROCESS.into() }),
            Err(errno) => Err(NetworkError::Reserve { place: *place, errno }),
        }
    }
}

fn open(place: &Place) -> Result<Option<OwnedFd>, Errno> {
    let (kind, protocol) = match place.protocol {
        Protocol::Tcp => (SocketType::STREAM, ipproto::TCP),
        Protocol::Udp => (SocketType::DGRAM, ipproto::UDP),
        Protocol::Sctp => return Ok(None),
    };
    let family = if place.at.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = match socket_with(family, kind, SocketFlags::CLOEXEC, Some(protocol)) {
        Err(Errno::PROTONOSUPPORT | Errno::AFNOSUPPORT | Errno::SOCKTNOSUPPORT) => return Ok(None),
        other => other?,
    };
    if place.at.is_ipv4() {
        sockopt::set_ip_freebind(&socket, true)?;
    } else {
        sockopt::set_ipv6_v6only(&socket, true)?;
        sockopt::set_ipv6_freebind(&socket, true)?;
    }
    // Packets that arrive before the translation rule exists are dropped, not queued.
    sockopt::set_socket_recv_buffer_size(&socket, 0)?;
    let address = SocketAddr::new(place.at, place.port);
    match bind(&socket, &address) {
        // Connections that a server of the node closed a minute ago still linger; they are not a reason to refuse.
        Err(Errno::ADDRINUSE) if place.protocol == Protocol::Tcp => bind_over_lingering(&socket, &address)?,
        other => other?,
    }
    Ok(Some(socket))
}

/// Binds beside lingering connections but not beside a listener, and then lets no one bind beside us.
fn bind_over_lingering(socket: &OwnedFd, address: &SocketAddr) -> Result<(), Errno> {
    sockopt::set_socket_reuseaddr(socket, true)?;
    bind(socket, address)?;
    sockopt::set_socket_reuseaddr(socket, false)
}

/// Finds the process of the node that has a port, if possible. It reads all of `/proc`, so it is only for error
/// messages.
pub fn holder(place: &Place) -> Option<String> {
    let inode = socket_inode(place)?;
    let link = format!("socket:[{inode}]");
    let processes = std::fs::read_dir("/proc").ok()?.flatten().take(MAX_PROCESSES);
    let pid = processes.map(|entry| entry.path()).filter(|path| is_pid(path)).find(|path| has_socket(path, &link))?;
    let name = std::fs::read_to_string(pid.join("comm")).unwrap_or_default();
    Some(format!("process {} ({})", pid.file_name()?.to_string_lossy(), name.trim_end().escape_debug()))
}

/// Inode of the first socket in `/proc/net` that is bound to the port on an address that collides.
fn socket_inode(place: &Place) -> Option<u64> {
    let protocol = match place.protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Sctp => return None,
    };
    let tables = [format!("/proc/net/{protocol}"), format!("/proc/net/{protocol}6")];
    tables
        .iter()
        .filter_map(|table| std::fs::read_to_string(table).ok())
        .find_map(|text| text.lines().skip(1).filter_map(local_port_and_inode).find(|(port, _)| *port == place.port))
        .map(|(_, inode)| inode)
}

/// Reads one line of `/proc/net/tcp` or a similar file. Inode 0 is a connection without a process.
fn local_port_and_inode(line: &str) -> Option<(u16, u64)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let port = u16::from_str_radix(fields.get(1)?.rsplit(':').next()?, 16).ok()?;
    let inode: u64 = fields.get(9)?.parse().ok()?;
    (inode != 0).then_some((port, inode))
}

fn is_pid(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().iter().all(u8::is_ascii_digit))
}

fn has_socket(process: &Path, link: &str) -> bool {
    let descriptors = std::fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
    descriptors.filter_map(|fd| std::fs::read_link(fd.path()).ok()).any(|target| target.as_os_str() == link)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, TcpListener, UdpSocket};

    fn place(protocol: Protocol, at: &str, port: u16) -> Place {
        Place { protocol, at: at.parse().expect("ip"), port }
    }

    #[test]
    fn a_held_port_is_refused_to_processes_and_free_after() {
        let probe = TcpListener::bind("127.0.0.1:0").expect("free port");
        let port = probe.local_addr().expect("bound").port();
        let wanted = place(Protocol::Tcp, "127.0.0.1", port);
        assert!(matches!(Reservation::take(&wanted), Err(NetworkError::HostPortTaken { .. })));
        drop(probe);
        let held = Reservation::take(&wanted).expect("free now");
        assert!(TcpListener::bind(("127.0.0.1", port)).is_err());
        assert!(Reservation::take(&place(Protocol::Tcp, "0.0.0.0", port)).is_err());
        drop(held);
        TcpListener::bind(("127.0.0.1", port)).expect("free again");
    }

    /// Makes the kernel refuse SCTP sockets to this thread with EACCES, until the thread ends.
    fn forbid_sctp_sockets() {
        use seccompiler::{
            BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
            TargetArch, apply_filter,
        };
        let protocol = u64::from(ipproto::SCTP.as_raw().get());
        let sctp = SeccompCondition::new(2, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, protocol).expect("argument 2");
        let rules = [(libc::SYS_socket, vec![SeccompRule::new(vec![sctp]).expect("a condition")])].into();
        let (other, refused) = (SeccompAction::Allow, SeccompAction::Errno(libc::EACCES as u32));
        let arch: TargetArch = std::env::consts::ARCH.try_into().expect("known");
        let filter = SeccompFilter::new(rules, other, refused, arch).expect("valid");
        apply_filter(&BpfProgram::try_from(filter).expect("compiles")).expect("loaded");
    }

    #[test]
    fn an_sctp_port_is_held_without_a_socket_that_would_load_the_kernels_sctp() {
        // On its own thread, because a filter cannot be removed.
        let tried = std::thread::spawn(|| {
            forbid_sctp_sockets();
            let asked = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, Some(ipproto::SCTP));
            assert_eq!(asked.err(), Some(Errno::ACCESS), "the filter works");
            Reservation::take(&place(Protocol::Tcp, "127.77.2.1", 18_081)).expect("other protocols pass it");
            ["0.0.0.0", "127.77.2.1", "::"].map(|at| Reservation::take(&place(Protocol::Sctp, at, 18_081)).map(drop))
        });
        for taken in tried.join().expect("no panic") {
            taken.expect("no SCTP socket is asked for");
        }
    }

    #[test]
    fn the_process_that_has_a_port_is_named() {
        let server = UdpSocket::bind("127.0.0.1:0").expect("free port");
        let port = server.local_addr().expect("bound").port();
        let name = holder(&place(Protocol::Udp, "127.0.0.1", port)).expect("found");
        assert!(name.starts_with(&format!("process {} (", std::process::id())), "{name}");
    }

    #[test]
    fn connections_that_linger_do_not_take_a_port() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("free port");
        let address = listener.local_addr().expect("bound");
        let client = std::net::TcpStream::connect(address).expect("listening");
        // The side that closes first lingers.
        drop(listener.accept().expect("connected"));
        drop(client);
        drop(listener);
        let wanted = place(Protocol::Tcp, "127.0.0.1", address.port());
        let held = Reservation::take(&wanted).expect("not taken");
        assert!(TcpListener::bind(address).is_err(), "a server must not get past the reservation");
        drop(held);
    }

    #[test]
    fn an_address_that_the_node_does_not_have_yet_can_be_reserved() {
        let ip: IpAddr = "203.0.113.77".parse().expect("ip");
        Reservation::take(&place(Protocol::Tcp, &ip.to_string(), 18_080)).expect("free");
    }
}
