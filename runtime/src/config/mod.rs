// SPDX-License-Identifier: Apache-2.0
//! Configuration: what the file may say ([`RawConfig`]), and what holds after checking ([`Config`]).
//!
//! No file is needed. An unknown key, a relative path or a value out of range stops the start with its place.

use gorae_image_service::Reserve;
use gorae_node::handlers::Handlers;
use gorae_node::settings::{Live, MissingHostPath, Settings};
use gorae_streaming::CertificateFiles;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use toml::de::{DeTable, DeValue};

/// The file as written; every key is optional.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawConfig {
    /// Where pods, containers and images are kept.
    pub root: Option<PathBuf>,
    /// Where what lives as long as the machine is kept: pins, sockets, state.
    pub state: Option<PathBuf>,
    /// `unix:///PATH` of the CRI socket.
    pub listen: Option<String>,
    /// `error`, `warn`, `info`, `debug`, `trace`.
    pub log_level: Option<String>,
    /// The shim binary; default: `gorae-shim` beside goraed.
    pub shim: Option<PathBuf>,
    /// How often left-overs and damage by others are looked for, in seconds; default 60.
    pub reconcile_seconds: Option<u32>,
    /// Image settings.
    pub images: RawImages,
    /// Settings of the built-in network.
    pub network: RawNetwork,
    /// Settings of the streaming server.
    pub streaming: RawStreaming,
    /// Settings of CDI device names.
    pub cdi: RawCdi,
    /// Names of runtime handlers beside the built-in one, for the RuntimeClasses of a cluster.
    pub runtimes: BTreeMap<String, RawRuntime>,
    /// Settings of mounts.
    pub mounts: RawMounts,
}

/// `[images]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawImages {
    /// Directories in containerd's `hosts.toml` layout, the first match wins; default `/etc/gorae/hosts.d`.
    pub hosts_dirs: Option<Vec<PathBuf>>,
    /// Hosts (`name` or `name:port`) that are spoken to without TLS; loopback addresses always may be.
    pub plain_http: Vec<String>,
    /// Layers fetched and unpacked at the same time; default: twice the CPUs, at most 8.
    pub parallel_layers: Option<usize>,
    /// What a pull leaves free of the file system, a share or a size; default: 5 %, at most 1 GiB.
    pub reserve: Option<Reserve>,
}

/// `[network]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawNetwork {
    /// Name of the bridge and of the nftables table; default: derived from the root directory.
    pub bridge: Option<String>,
    /// IPv4 subnet of this node's pods; default: a free /20, chosen once and recorded.
    pub subnet: Option<ipnet::Ipv4Net>,
    /// IPv6 subnet; default: none.
    pub subnet6: Option<ipnet::Ipv6Net>,
    /// MTU of bridge and pods; default: the kernel's.
    pub mtu: Option<u32>,
}

/// `[streaming]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawStreaming {
    /// Address to listen on; default 127.0.0.1.
    pub address: Option<IpAddr>,
    /// Port; default 0, any.
    pub port: u16,
    /// PEM file of the certificate to speak TLS with; default: none, plain HTTP.
    pub tls_certificate: Option<PathBuf>,
    /// PEM file of its private key.
    pub tls_key: Option<PathBuf>,
}

/// `[cdi]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawCdi {
    /// Directories of spec files, a later one winning over an earlier; default `/etc/cdi`, then `/var/run/cdi`.
    pub directories: Option<Vec<PathBuf>>,
}

/// `[runtimes.NAME]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawRuntime {
    /// What runs the handler's pods.
    pub kind: RuntimeKind,
}

/// What can run pods.
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
    /// What becomes of a mount whose host path does not exist; default `create`.
    pub missing_host_path: Option<MissingHostPath>,
}

/// What the command line says over the file.
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
}

/// The checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Absolute.
    pub root: PathBuf,
    /// Absolute.
    pub state: PathBuf,
    /// Absolute path of the socket.
    pub socket: PathBuf,
    /// Absolute path of the shim binary.
    pub shim: PathBuf,
    /// As written.
    pub images: RawImages,
    /// Directories in containerd's `hosts.toml` layout, absolute; the first match wins.
    pub hosts_dirs: Vec<PathBuf>,
    /// As written; the network module checks it against the machine.
    pub network: RawNetwork,
    /// Address of the streaming server.
    pub streaming: (IpAddr, u16),
    /// What it speaks TLS with, if at all.
    pub streaming_tls: Option<CertificateFiles>,
    /// What can run pods.
    pub handlers: Handlers,
    /// What becomes of a mount whose host path does not exist.
    pub missing_host_path: MissingHostPath,
    /// What may change while the daemon runs; clones share it.
    pub live: Arc<watch::Sender<Live>>,
}

/// A key that has another value than before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It counts from now on.
    Taken(&'static str),
    /// It counts from the next start on.
    NeedsRestart(&'static str),
}

impl Config {
    /// What the node needs of it.
    pub fn settings(&self) -> Settings {
        Settings { handlers: self.handlers.clone(), missing_host_path: self.missing_host_path, live: self.live.clone() }
    }

    /// The keys in which a configuration that was read later differs.
    pub fn changes(&self, new: &Config) -> Vec<Change> {
        let (ours, theirs) = (self.live.borrow(), new.live.borrow());
        let taken = [
            ("log_level", ours.log_level != theirs.log_level),
            ("reconcile_seconds", ours.reconcile_every != theirs.reconcile_every),
            ("cdi.directories", ours.cdi_directories != theirs.cdi_directories),
        ];
        let tls = |config: &Config| config.streaming_tls.clone().map(|tls| (tls.certificate, tls.key)).unzip();
        let (old_tls, new_tls) = (tls(self), tls(new));
        let restart = [
            ("root", self.root != new.root),
            ("state", self.state != new.state),
            ("listen", self.socket != new.socket),
            ("shim", self.shim != new.shim),
            ("images.hosts_dirs", self.hosts_dirs != new.hosts_dirs),
            ("images.plain_http", self.images.plain_http != new.images.plain_http),
            ("images.reserve", self.images.reserve != new.images.reserve),
            ("images.parallel_layers", self.images.parallel_layers != new.images.parallel_layers),
            ("network.bridge", self.network.bridge != new.network.bridge),
            ("network.subnet", self.network.subnet != new.network.subnet),
            ("network.subnet6", self.network.subnet6 != new.network.subnet6),
            ("network.mtu", self.network.mtu != new.network.mtu),
            ("streaming.address", self.streaming.0 != new.streaming.0),
            ("streaming.port", self.streaming.1 != new.streaming.1),
            ("streaming.tls_certificate", old_tls.0 != new_tls.0),
            ("streaming.tls_key", old_tls.1 != new_tls.1),
            ("runtimes", self.handlers != new.handlers),
            ("mounts.missing_host_path", self.missing_host_path != new.missing_host_path),
        ];
        let taken = taken.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| Change::Taken(key));
        let restart = restart.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| Change::NeedsRestart(key));
        taken.chain(restart).collect()
    }
}

/// Default of `root`.
pub const DEFAULT_ROOT: &str = "/var/lib/gorae";
/// Default of `state`.
pub const DEFAULT_STATE: &str = "/run/gorae";
/// Default of `images.hosts_dirs`.
const DEFAULT_HOSTS_DIR: &str = "/etc/gorae/hosts.d";
/// Default of `reconcile_seconds`.
const DEFAULT_RECONCILE_SECONDS: u32 = 60;
/// Most runtime handlers; each is told with each status.
const MAX_HANDLERS: usize = 64;
/// Longest path of a unix socket that the kernel takes, without the final NUL.
const MAX_SOCKET_PATH: usize = 107;

/// Reads the file, when there is one, and checks everything.
///
/// # Errors
/// A sentence with the file, the line and what is allowed.
pub fn load(file: Option<&Path>, over: Overrides) -> Result<Config, String> {
    let Some(path) = file else { return check(RawConfig::default(), over) };
    let text = std::fs::read_to_string(path).map_err(|e| format!("read {}: {e}", path.display()))?;
    let checked = parse(&text).and_then(|raw| check(raw, over).map_err(|e| with_line(&text, e)));
    checked.map_err(|e| format!("{}: {e}", path.display()))
}

/// Puts the line in front of a sentence that begins with a key, where the file has the key.
fn with_line(text: &str, sentence: String) -> String {
    let key = sentence.split_once(':').map_or("", |(key, _)| key);
    match line_of(text, key) {
        Some(line) => format!("line {line}: {sentence}"),
        None => sentence,
    }
}

/// The line in which a key of the file stands.
fn line_of(text: &str, key: &str) -> Option<usize> {
    let table = DeTable::parse(text).ok()?;
    let (mut table, mut start) = (table.get_ref().clone(), 0);
    for part in key.split('.') {
        let (name, value) = table.iter().find(|(name, _)| name.get_ref() == part)?;
        start = name.span().start;
        table = match value.get_ref() {
            DeValue::Table(below) => below.clone(),
            _ => DeTable::new(),
        };
    }
    Some(text[..start].matches('\n').count() + 1)
}

/// Parses the text of a configuration file.
///
/// # Errors
/// The parser's sentence, with the line.
pub fn parse(text: &str) -> Result<RawConfig, String> {
    toml::from_str(text).map_err(|e| e.to_string())
}

fn check(raw: RawConfig, over: Overrides) -> Result<Config, String> {
    let root = absolute("root", over.root.or(raw.root).unwrap_or_else(|| DEFAULT_ROOT.into()))?;
    let state = absolute("state", over.state.or(raw.state).unwrap_or_else(|| DEFAULT_STATE.into()))?;
    if root == state {
        return Err(format!("root and state are both {}: they have to be two directories", root.display()));
    }
    let listen = over.listen.or(raw.listen).unwrap_or_else(|| format!("unix://{}/gorae.sock", state.display()));
    let socket = listen.strip_prefix("unix://").ok_or_else(|| format!("listen: {listen:?} is not unix:///PATH"))?;
    let socket = absolute("listen", socket.into())?;
    if socket.as_os_str().len() > MAX_SOCKET_PATH {
        return Err(format!("listen: {} is longer than {MAX_SOCKET_PATH} bytes", socket.display()));
    }
    let log_level = over.log_level.or(raw.log_level).unwrap_or_else(|| "info".into());
    if !["error", "warn", "info", "debug", "trace"].contains(&log_level.as_str()) {
        return Err(format!("log_level: {log_level:?} is none of error, warn, info, debug, trace"));
    }
    let shim = match raw.shim {
        Some(path) => absolute("shim", path)?,
        None => beside_this_program()?,
    };
    if let Some(bridge) = raw.network.bridge.as_deref() {
        let fits = (1..=15).contains(&bridge.len());
        if !fits || !bridge.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
            return Err(format!("network.bridge: {bridge:?} is no interface name of 1 to 15 letters, digits, - or _"));
        }
    }
    if raw.images.parallel_layers.is_some_and(|n| !(1..=64).contains(&n)) {
        return Err("images.parallel_layers: allowed are 1 to 64".into());
    }
    let hosts_dirs = match raw.images.hosts_dirs.clone() {
        Some(list) => list.into_iter().map(|dir| absolute("images.hosts_dirs", dir)).collect::<Result<_, _>>()?,
        None => vec![DEFAULT_HOSTS_DIR.into()],
    };
    let seconds = raw.reconcile_seconds.unwrap_or(DEFAULT_RECONCILE_SECONDS);
    if !(1..=3600).contains(&seconds) {
        return Err("reconcile_seconds: allowed are 1 to 3600".into());
    }
    let reconcile_every = Duration::from_secs(seconds.into());
    let address = raw.streaming.address.unwrap_or(IpAddr::from([127, 0, 0, 1]));
    let streaming = (address, raw.streaming.port);
    let streaming_tls = match (raw.streaming.tls_certificate, raw.streaming.tls_key) {
        (None, None) => None,
        (Some(certificate), Some(key)) => {
            let certificate = absolute("streaming.tls_certificate", certificate)?;
            Some(CertificateFiles { certificate, key: absolute("streaming.tls_key", key)? })
        }
        _ => return Err("streaming: tls_certificate and tls_key go together, and only one is there".into()),
    };
    let cdi_directories = match raw.cdi.directories {
        Some(list) => list.into_iter().map(|dir| absolute("cdi.directories", dir)).collect::<Result<_, _>>()?,
        None => gorae_cdi::DEFAULT_DIRECTORIES.map(PathBuf::from).to_vec(),
    };
    let handlers = handlers(&raw.runtimes)?;
    let missing_host_path = raw.mounts.missing_host_path.unwrap_or_default();
    let live = Arc::new(watch::Sender::new(Live { log_level, reconcile_every, cdi_directories }));
    let (images, network) = (raw.images, raw.network);
    Ok(Config {
        root,
        state,
        socket,
        shim,
        images,
        hosts_dirs,
        network,
        streaming,
        streaming_tls,
        handlers,
        missing_host_path,
        live,
    })
}

/// The names that a RuntimeClass can have as its handler: DNS labels, and what containerd takes beside.
fn handlers(runtimes: &BTreeMap<String, RawRuntime>) -> Result<Handlers, String> {
    if runtimes.len() > MAX_HANDLERS {
        return Err(format!("runtimes: more than {MAX_HANDLERS}"));
    }
    let fits = |name: &str| {
        (1..=63).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    if let Some(bad) = runtimes.keys().find(|name| !fits(name)) {
        return Err(format!("runtimes: {bad:?} is no name of 1 to 63 letters, digits, -, _ or ."));
    }
    let native = runtimes.iter().filter(|(_, runtime)| runtime.kind == RuntimeKind::Native);
    Ok(Handlers::with(native.map(|(name, _)| name.clone())))
}

fn absolute(key: &str, path: PathBuf) -> Result<PathBuf, String> {
    let plain = path.components().all(|c| !matches!(c, std::path::Component::ParentDir));
    if path.is_absolute() && plain {
        Ok(path)
    } else {
        Err(format!("{key}: {} is not an absolute path", path.display()))
    }
}

fn beside_this_program() -> Result<PathBuf, String> {
    let me = std::env::current_exe().map_err(|e| format!("where is this program: {e}"))?;
    Ok(me.with_file_name("gorae-shim"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_configured_is_enough() {
        let config = check(RawConfig::default(), Overrides::default()).expect("defaults");
        assert_eq!(config.socket, Path::new("/run/gorae/gorae.sock"));
        assert_eq!(config.streaming, (IpAddr::from([127, 0, 0, 1]), 0));
    }

    #[test]
    fn the_socket_follows_the_state_directory() {
        let over = Overrides { state: Some("/tmp/x".into()), ..Overrides::default() };
        assert_eq!(check(RawConfig::default(), over).expect("fine").socket, Path::new("/tmp/x/gorae.sock"));
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line() {
        let error = parse("root = \"/a\"\n[images]\nhost_dirs = []\n").expect_err("typo");
        assert!(error.contains("line 3") && error.contains("host_dirs"), "{error}");
    }

    #[test]
    fn handlers_are_the_built_in_one_and_those_that_are_named() {
        let text = "[runtimes.runc]\nkind = \"native\"\n[runtimes.gorae]\nkind = \"native\"\n[runtimes.crun]\nkind = \"native\"";
        let config = check(parse(text).expect("parses"), Overrides::default()).expect("fine");
        assert_eq!(config.handlers.names(), ["gorae", "crun", "runc"]);
        for bad in
            ["[runtimes.kata]\nkind = \"vm\"", "[runtimes.runc]", "[runtimes.runc]\nkind = \"native\"\npath = \"/x\""]
        {
            assert!(parse(bad).expect_err("refused").contains("line"), "{bad}");
        }
    }

    #[test]
    fn the_reserve_of_pulls_is_a_share_or_a_size() {
        for (value, reserve) in [
            ("\"10%\"", Reserve::Percent(10)),
            ("\"2GiB\"", Reserve::Bytes(2 << 30)),
            ("0", Reserve::Bytes(0)),
            ("1048576", Reserve::Bytes(1 << 20)),
        ] {
            let raw = parse(&format!("[images]\nreserve = {value}\n")).expect(value);
            assert_eq!(raw.images.reserve, Some(reserve), "{value}");
        }
        for value in ["\"much\"", "\"101%\"", "-1", "1.5", "true"] {
            let error = parse(&format!("[images]\nreserve = {value}\n")).expect_err(value);
            assert!(error.contains("line 2"), "{error}");
        }
    }

    #[test]
    fn a_value_out_of_range_is_refused_with_its_line_wherever_it_stands() {
        let dir = tempfile::tempdir().expect("tempdir");
        let file = dir.path().join("c.toml");
        for (text, line) in [
            ("# first\nreconcile_seconds = 0\n", "line 2: reconcile_seconds: allowed"),
            ("[images]\n\nparallel_layers = 0", "line 3: images.parallel_layers: allowed"),
            ("images.parallel_layers = 0", "line 1: images.parallel_layers: allowed"),
            ("\nimages = { plain_http = [], parallel_layers = 0 }", "line 2: images.parallel_layers: allowed"),
            ("\n[streaming]\ntls_key = \"/k\"", "line 2: streaming: tls_certificate"),
            ("root = \"/a\"\nstate = \"/a\"", "root and state are both"),
        ] {
            std::fs::write(&file, text).expect("write");
            let error = load(Some(&file), Overrides::default()).expect_err(text);
            assert!(error.contains(&format!("c.toml: {line}")), "{error}");
        }
    }

    #[test]
    fn a_missing_host_path_is_made_unless_the_file_says_otherwise() {
        let said = |text| check(parse(text).expect("parses"), Overrides::default()).expect("fine").missing_host_path;
        assert_eq!(said(""), MissingHostPath::Create);
        assert_eq!(said("[mounts]\nmissing_host_path = \"refuse\""), MissingHostPath::Refuse);
        let error = parse("[mounts]\nmissing_host_path = \"ignore\"").expect_err("a third way");
        assert!(error.contains("line 2") && error.contains("create") && error.contains("refuse"), "{error}");
    }

    #[test]
    fn each_key_that_changes_is_named_with_what_it_needs() {
        let of = |text: &str| check(parse(text).expect("parses"), Overrides::default()).expect("fine");
        let before = of("");
        for (text, change) in [
            ("log_level = \"debug\"", Change::Taken("log_level")),
            ("reconcile_seconds = 5", Change::Taken("reconcile_seconds")),
            ("[cdi]\ndirectories = [\"/c\"]", Change::Taken("cdi.directories")),
            ("state = \"/s\"\nlisten = \"unix:///run/gorae/gorae.sock\"", Change::NeedsRestart("state")),
            ("root = \"/r\"", Change::NeedsRestart("root")),
            ("listen = \"unix:///l\"", Change::NeedsRestart("listen")),
            ("shim = \"/shim\"", Change::NeedsRestart("shim")),
            ("[images]\nhosts_dirs = [\"/h\"]", Change::NeedsRestart("images.hosts_dirs")),
            ("[images]\nplain_http = [\"h\"]", Change::NeedsRestart("images.plain_http")),
            ("[images]\nreserve = \"10%\"", Change::NeedsRestart("images.reserve")),
            ("[images]\nparallel_layers = 3", Change::NeedsRestart("images.parallel_layers")),
            ("[network]\nbridge = \"b\"", Change::NeedsRestart("network.bridge")),
            ("[network]\nsubnet = \"10.1.0.0/20\"", Change::NeedsRestart("network.subnet")),
            ("[network]\nsubnet6 = \"fd00::/64\"", Change::NeedsRestart("network.subnet6")),
            ("[network]\nmtu = 1400", Change::NeedsRestart("network.mtu")),
            ("[streaming]\naddress = \"127.0.0.2\"", Change::NeedsRestart("streaming.address")),
            ("[streaming]\nport = 9", Change::NeedsRestart("streaming.port")),
            ("[runtimes.runc]\nkind = \"native\"", Change::NeedsRestart("runtimes")),
            ("[mounts]\nmissing_host_path = \"refuse\"", Change::NeedsRestart("mounts.missing_host_path")),
        ] {
            assert_eq!(before.changes(&of(text)), [change], "{text}");
            assert_eq!(of(text).changes(&of(text)), [], "{text}");
        }
        let tls = of("[streaming]\ntls_certificate = \"/c\"\ntls_key = \"/k\"");
        let both = ["streaming.tls_certificate", "streaming.tls_key"].map(Change::NeedsRestart);
        assert_eq!(before.changes(&tls), both);
    }

    #[test]
    fn every_key_of_the_file_is_looked_at_when_it_is_read_again() {
        let sample = include_str!("../../../deploy/config.toml");
        let source = include_str!("mod.rs").split("#[cfg(test)]").next().expect("code");
        let mut section = String::new();
        let mut keys = 0;
        for line in sample.lines().filter_map(|line| line.strip_prefix('#')).filter(|line| !line.starts_with(' ')) {
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                section = format!("{name}.");
            } else if let Some((key, _)) = line.split_once(" = ") {
                keys += 1;
                // Tables with names of their own are compared whole.
                let name =
                    if section.starts_with("runtimes.") { "runtimes".to_owned() } else { format!("{section}{key}") };
                assert!(source.contains(&format!("(\"{name}\", ")), "{section}{key} is not compared");
            }
        }
        assert_eq!(keys, 21, "keys of the sample");
    }

    #[test]
    fn values_out_of_range_are_refused() {
        for text in [
            "root = \"relative\"",
            "root = \"/a/../b\"",
            "root = \"/a\"\nstate = \"/a/\"",
            "listen = \"tcp://0.0.0.0:1\"",
            "log_level = \"loud\"",
            "reconcile_seconds = 0",
            "[network]\nbridge = \"much-too-long-a-name\"",
            "[images]\nparallel_layers = 0",
            "[images]\nhosts_dirs = [\"hosts.d\"]",
            "[streaming]\ntls_certificate = \"/a.crt\"",
            "[streaming]\ntls_key = \"/a.key\"",
            "[streaming]\ntls_certificate = \"a.crt\"\ntls_key = \"/a.key\"",
            "[cdi]\ndirectories = [\"cdi\"]",
            "[runtimes.\"a b\"]\nkind = \"native\"",
            "[runtimes.\"\"]\nkind = \"native\"",
        ] {
            assert!(check(parse(text).expect("parses"), Overrides::default()).is_err(), "{text}");
        }
    }
}
