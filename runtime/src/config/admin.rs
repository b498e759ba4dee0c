// SPDX-License-Identifier: Apache-2.0
//! `[admin]`: the address of the listener for operators.

use super::paths::{Paths, socket, socket_path};
use super::raw::RawAdmin;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The address of the listener, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admin {
    /// There is no listener.
    Off,
    /// A unix socket for root only; an absolute path.
    Unix(PathBuf),
    /// A loopback address, for every user of this machine; port 0 picks any free port.
    Loopback(SocketAddr),
}

/// Checks the section.
///
/// # Errors
/// A sentence that begins with the key.
pub fn check(raw: &RawAdmin, paths: &Paths) -> Result<Admin, String> {
    let key = "admin.listen";
    let admin = match raw.listen.as_deref() {
        None => Admin::Unix(socket_path(key, paths.state.join("admin.sock"))?),
        Some("off") => Admin::Off,
        Some(listen) if listen.starts_with("unix:") => Admin::Unix(socket(key, listen)?),
        Some(listen) => Admin::Loopback(loopback(key, listen)?),
    };
    match &admin {
        Admin::Unix(path) if *path == paths.socket => Err(format!("{key}: {} is the CRI socket", path.display())),
        _ => Ok(admin),
    }
}

fn loopback(key: &str, listen: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = listen.parse().map_err(|_| {
        format!("{key}: {listen:?} is not \"unix:///PATH\", a loopback address such as \"127.0.0.1:9090\", or \"off\"")
    })?;
    if !address.ip().is_loopback() {
        return Err(format!(
            "{key}: {address} is not a loopback address: the listener does not authenticate clients, so anyone who can \
             reach the address could see what runs on this node; for access from other machines, put a proxy with TLS \
             and authentication in front of a loopback address"
        ));
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(listen: &str) -> Result<Admin, String> {
        let paths = Paths {
            root: "/r".into(),
            state: "/s".into(),
            socket: "/s/gorae.sock".into(),
            shim: "/bin/gorae-shim".into(),
        };
        check(&RawAdmin { listen: (!listen.is_empty()).then(|| listen.to_owned()) }, &paths)
    }

    #[test]
    fn the_listener_is_on_its_own_socket_or_a_loopback_address_or_off() {
        assert_eq!(of(""), Ok(Admin::Unix("/s/admin.sock".into())));
        assert_eq!(of("unix:///x/y.sock"), Ok(Admin::Unix("/x/y.sock".into())));
        assert_eq!(of("off"), Ok(Admin::Off));
        for address in ["127.0.0.1:9090", "127.3.2.1:0", "[::1]:9090"] {
            assert_eq!(of(address), Ok(Admin::Loopback(address.parse().expect("an address"))));
        }
    }

    #[test]
    fn an_address_that_other_machines_could_reach_is_refused_with_the_reason() {
        for address in ["0.0.0.0:9090", "10.0.0.1:9090", "[::]:9090", "[::ffff:10.0.0.1]:1"] {
            let error = of(address).expect_err(address);
            assert!(error.starts_with("admin.listen: ") && error.contains("not a loopback address"), "{error}");
        }
        for odd in ["localhost:9090", "9090", "127.0.0.1", "tcp://127.0.0.1:1", "unix://relative", "on"] {
            assert!(of(odd).is_err(), "{odd}");
        }
        assert!(of("unix:///s/gorae.sock").expect_err("taken").contains("is the CRI socket"));
    }
}
