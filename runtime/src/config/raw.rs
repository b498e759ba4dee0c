// SPDX-License-Identifier: Apache-2.0
//! The configuration file as written: its keys and the types of their values. Ranges are not checked here.

use gorae_image_service::Reserve;
use gorae_network::Families;
use gorae_node::networks::Mode;
use gorae_node::settings::MissingHostPath;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

/// The file as written; every key is optional.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawConfig {
    /// Where pods, containers and images are kept.
    pub root: Option<PathBuf>,
    /// Where state that does not survive a reboot is kept: pins, sockets, states.
    pub state: Option<PathBuf>,
    /// `unix:///PATH` of the CRI socket.
    pub listen: Option<String>,
    /// The least severe level that is logged: `error`, `warn`, `info`, `debug` or `trace`; default `info`.
    pub log_level: Option<String>,
    /// The format of log lines: `text` or `json`; default `text`.
    pub log_format: Option<String>,
    /// The shim binary; default: `gorae-shim` next to goraed.
    pub shim: Option<PathBuf>,
    /// Seconds between reconciliations, which look for left-overs and for damage done by other programs; default 60.
    pub reconcile_seconds: Option<u32>,
    /// Where images come from and how they are pulled.
    pub images: RawImages,
    /// The built-in network.
    pub network: RawNetwork,
    /// The server of exec, attach and port-forward sessions.
    pub streaming: RawStreaming,
    /// The listener for operators.
    pub admin: RawAdmin,
    /// Where the specs of CDI devices are.
    pub cdi: RawCdi,
    /// Names of runtime handlers in addition to the built-in one, for the RuntimeClasses of a cluster.
    pub runtimes: BTreeMap<String, RawRuntime>,
    /// How mounts are handled.
    pub mounts: RawMounts,
}

/// `[images]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawImages {
    /// Directories in containerd's `hosts.toml` layout, the first match wins; default `/etc/gorae/hosts.d`.
    pub hosts_dirs: Option<Vec<PathBuf>>,
    /// Hosts (`name` or `name:port`) that are contacted without TLS; loopback addresses always may be.
    pub plain_http: Vec<String>,
    /// Layers fetched and unpacked at the same time; default: twice the CPUs, at most 8.
    pub parallel_layers: Option<usize>,
    /// How much space a pull leaves free on the file system, as a share or a size; default: 5 %, at most 1 GiB.
    pub reserve: Option<Reserve>,
}

/// `[network]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawNetwork {
    /// Which network new pods are in: `auto` (CNI, once there is or was a configuration), `cni` or `builtin`.
    pub mode: Option<Mode>,
    /// Directories of CNI configurations; default `/etc/cni/net.d`.
    pub configuration_directories: Option<Vec<PathBuf>>,
    /// Directories of CNI plugins, in order; default `/opt/cni/bin`, then `/usr/lib/cni`.
    pub plugin_directories: Option<Vec<PathBuf>>,
    /// Name of the CNI network; default: that of the first configuration file.
    pub name: Option<String>,
    /// Name of the bridge and of the nftables table; default: derived from the root directory.
    pub bridge: Option<String>,
    /// Which families pods have, the first one first; default: those of the subnets.
    pub families: Option<Families>,
    /// IPv4 subnet of this node's pods; default: a free /20, chosen once and recorded.
    pub subnet: Option<ipnet::Ipv4Net>,
    /// IPv6 subnet; default: that of kubelet's pod CIDR, else none.
    pub subnet6: Option<ipnet::Ipv6Net>,
    /// MTU of bridge and pods; default: the kernel's.
    pub mtu: Option<u32>,
    /// Whose traffic is masqueraded when it leaves the node; default `"auto"`.
    pub masquerade: Option<RawMasquerade>,
    /// Whether to let the pods' packets through a firewall that drops what the node forwards; default: no.
    pub open_forward: bool,
}

/// A switch, or "auto".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "expected \"auto\", true or false")]
pub enum RawMasquerade {
    /// As the switch says.
    Switch(bool),
    /// As the addresses say.
    Word(Auto),
}

/// The word "auto".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Auto {
    /// The word itself.
    Auto,
}

/// `[streaming]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawStreaming {
    /// Address to listen on; default 127.0.0.1.
    pub address: Option<IpAddr>,
    /// Port; default 0, which picks any free port.
    pub port: u16,
    /// PEM file of the TLS certificate; default: none, which means plain HTTP.
    pub tls_certificate: Option<PathBuf>,
    /// PEM file of its private key.
    pub tls_key: Option<PathBuf>,
}

/// `[admin]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawAdmin {
    /// `unix:///PATH`, a loopback address with a port, or `off`; default: `admin.sock` in the state directory.
    pub listen: Option<String>,
}

/// `[cdi]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawCdi {
    /// Directories of spec files, where a later one overrides an earlier one; default `/etc/cdi`, then `/var/run/cdi`.
    pub directories: Option<Vec<PathBuf>>,
}

/// `[runtimes.NAME]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawRuntime {
    /// The kind of runtime that runs the handler's pods.
    pub kind: RuntimeKind,
}

/// The kinds of runtime that can run pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuntimeKind {
    /// Gorae's own shim.
    Native,
}

/// `[mounts]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawMounts {
    /// What to do with a mount whose host path does not exist; default `create`.
    pub missing_host_path: Option<MissingHostPath>,
}

/// The command-line options. They override the file, also when it is reloaded.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--root`.
    pub root: Option<PathBuf>,
    /// `--state`.
    pub state: Option<PathBuf>,
    /// `--listen`.
    pub listen: Option<String>,
    /// `--log-level`.
    pub log_level: Option<String>,
    /// `--log-format`.
    pub log_format: Option<String>,
}
