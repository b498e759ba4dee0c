// SPDX-License-Identifier: Apache-2.0
//! The way from port 53 of the name server's address to its sockets: a table inside the network namespace.

use crate::failure::Result;
use crate::plugin::{Plugin, Series};
use crate::wire::plugin_ran::Ending;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where containers expect a name server: programs have it built in.
pub(super) const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
/// Its port.
pub(super) const PORT: u16 = 53;
/// The table's name. A container with the right to change it can only hurt itself.
const TABLE: &str = "gorae-names";
/// Where the program is searched for: this process has no PATH.
const DIRS: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/bin"];
/// How long nft may take; it takes some 5 ms.
const LIMIT: Duration = Duration::from_secs(10);

/// The program, if it is installed.
pub(super) fn nft() -> Option<PathBuf> {
    DIRS.iter().map(|dir| PathBuf::from(dir).join("nft")).find(|file| file.is_file())
}

/// Leads port 53 to this one, in one transaction. Returns why not, if nft or the kernel does not do it.
///
/// # Errors
/// The kernel has no room for another process.
pub(super) fn lead_to(nft: &Path, port: u16) -> Result<Option<String>> {
    let run = Plugin {
        path: nft.to_owned(),
        arguments: ["-f", "-"].map(String::from).into(),
        environment: vec![("LC_ALL".into(), "C".into())],
        input: script(port).into_bytes(),
        limit: LIMIT,
        max_output: 4096,
        lock: None,
    };
    let ran = Series::default().run(&run)?;
    let said = String::from_utf8_lossy(&ran.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
    Ok(match ran.ending {
        Some(Ending::Exited(0)) => None,
        Some(Ending::Exited(_)) => Some(format!("nft: {said}")),
        other => Some(format!("nft: {other:?} {said}")),
    })
}

/// The first line is there so that the second one finds a table.
fn script(port: u16) -> String {
    format!(
        "table ip {TABLE} {{}}
delete table ip {TABLE}
table ip {TABLE} {{
    chain output {{
        type nat hook output priority -100;
        ip daddr {ADDRESS} udp dport {PORT} dnat to {ADDRESS}:{port}
        ip daddr {ADDRESS} tcp dport {PORT} dnat to {ADDRESS}:{port}
    }}
    chain postrouting {{
        type nat hook postrouting priority 100;
        ip saddr {ADDRESS} udp sport {port} snat to {ADDRESS}:{PORT}
        ip saddr {ADDRESS} tcp sport {port} snat to {ADDRESS}:{PORT}
    }}
}}
"
    )
}
