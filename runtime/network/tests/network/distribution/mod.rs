// SPDX-License-Identifier: Apache-2.0
//! Firewalls as Debian ships them: firewalld and ufw, whole programs in the namespaces of a test. Their packages, which
//! tests/setup downloads, are laid over /usr and /etc for the test alone.

mod firewalld;
mod ufw;

use super::stage::{NODE, NODE6, OUTSIDE, call, pod, serve, sh, tcp};
use gorae_network::{Network, NetworkConfig};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

/// Unpacks packages where nobody else sees it.
fn install(packages: &[&str]) {
    let store = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../build/firewalls");
    sh("mkdir /run/over && for place in usr etc; do
          mkdir -p /run/over/$place/upper /run/over/$place/work
          mount -t overlay -o lowerdir=/$place,upperdir=/run/over/$place/upper,workdir=/run/over/$place/work over /$place
        done
        mount -t tmpfs over /var/log");
    for package in packages {
        sh(&format!(
            "file=$(ls {0}/{package}_*.deb) || {{ echo 'run tests/setup --images' >&2; exit 1; }}
             dpkg-deb --fsys-tarfile $file | tar -C / -x --keep-directory-symlink",
            store.display()
        ));
    }
}

/// A dual-stack network.
async fn open(root: &Path, open_forward: bool) -> Network {
    let subnet6 = Some("fd00:64::/64".parse().expect("net"));
    let config = NetworkConfig { open_forward, subnet6, ..NetworkConfig::default() };
    Network::open(config, root, &[]).await.expect("network")
}

/// Two pods, the first with a server behind a host port; a server outside.
struct Stage {
    /// The addresses of the first pod, IPv4 and IPv6.
    served: Vec<IpAddr>,
    /// Its host port.
    port: u16,
}

impl Stage {
    async fn set(network: &Network, port: u16) -> Self {
        serve("outside", "[::]:7000");
        let served = pod(network, "a", &[tcp("", port, 80)]).await.ips;
        pod(network, "b", &[]).await;
        serve("a", "[::]:80");
        Self { served, port }
    }

    /// Whether pods reach the world, the world a host port, and pods each other: each by IPv4, then by IPv6.
    fn ways(&self) -> [bool; 6] {
        let at = |ip: &str, port| SocketAddr::new(ip.parse().expect("address"), port);
        let out = [OUTSIDE, "fd00:2::1"].map(|ip| ("b", at(ip, 7000)));
        let across = [0, 1].map(|family| ("b", SocketAddr::new(self.served[family], 80)));
        let [a, b, c, d] = [out[0], out[1], across[0], across[1]].map(|(from, to)| call(from, to).is_some());
        let [e, f] = self.host_port();
        [a, b, e, f, c, d]
    }

    /// Whether the world reaches the host port, by IPv4 and by IPv6.
    fn host_port(&self) -> [bool; 2] {
        [NODE, NODE6].map(|ip| call("outside", SocketAddr::new(ip.parse().expect("address"), self.port)).is_some())
    }
}

/// Looks at the firewalls now; returns the commands of the condition, if there is one.
async fn told(network: &Network) -> Option<String> {
    network.reconcile(&Default::default()).await.expect("reconciled");
    let told = network.degraded()?;
    assert_eq!((told.reason, network.status()), ("ForwardingBlocked", Ok(())));
    let commands: Vec<&str> = told.message.split('`').skip(1).step_by(2).collect();
    Some(commands.join(" && "))
}

/// Everything in our table, except what packets change.
fn own_table() -> String {
    sh(
        "nft list table inet $(nft list tables | sed -n 's/.*inet \\(gorae-.*\\)/\\1/p') | sed '/set sources6 {/,/^\t}$/d'",
    )
}
