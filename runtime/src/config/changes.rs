// SPDX-License-Identifier: Apache-2.0
//! Which keys differ between two configurations, and which of them a running daemon can change.

use super::checked::Config;

/// A key whose value has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The new value applies at once.
    Applied(&'static str),
    /// The new value applies from the next start.
    NeedsRestart(&'static str),
}

impl Config {
    /// The keys whose values differ in a configuration that was read later.
    pub fn changes(&self, new: &Config) -> Vec<Change> {
        let (ours, theirs) = (self.live.borrow(), new.live.borrow());
        let applied = [
            ("log_level", *self.log_level.borrow() != *new.log_level.borrow()),
            ("reconcile_seconds", ours.reconcile_every != theirs.reconcile_every),
            ("cdi.directories", ours.cdi_directories != theirs.cdi_directories),
        ];
        let tls = |config: &Config| config.streaming.tls.clone().map(|tls| (tls.certificate, tls.key)).unzip();
        let (old_tls, new_tls) = (tls(self), tls(new));
        let restart = [
            ("root", self.root != new.root),
            ("state", self.state != new.state),
            ("listen", self.socket != new.socket),
            ("shim", self.shim != new.shim),
            ("log_format", self.log_format != new.log_format),
            ("images.hosts_dirs", self.images.hosts_dirs != new.images.hosts_dirs),
            ("images.plain_http", self.images.plain_http != new.images.plain_http),
            ("images.reserve", self.images.reserve != new.images.reserve),
            ("images.parallel_layers", self.images.parallel_layers != new.images.parallel_layers),
            ("network.mode", self.network_mode != new.network_mode),
            ("network.configuration_directories", self.cni.configuration.paths != new.cni.configuration.paths),
            ("network.plugin_directories", self.cni.plugins != new.cni.plugins),
            ("network.name", self.cni.configuration.network != new.cni.configuration.network),
            ("network.bridge", self.network.bridge != new.network.bridge),
            ("network.families", self.network.families != new.network.families),
            ("network.subnet", self.network.subnet != new.network.subnet),
            ("network.subnet6", self.network.subnet6 != new.network.subnet6),
            ("network.masquerade", self.network.masquerade != new.network.masquerade),
            ("network.mtu", self.network.mtu != new.network.mtu),
            ("network.open_forward", self.network.open_forward != new.network.open_forward),
            ("streaming.address", self.streaming.address.ip() != new.streaming.address.ip()),
            ("streaming.port", self.streaming.address.port() != new.streaming.address.port()),
            ("streaming.tls_certificate", old_tls.0 != new_tls.0),
            ("streaming.tls_key", old_tls.1 != new_tls.1),
            ("admin.listen", self.admin != new.admin),
            ("runtimes", self.handlers != new.handlers),
            ("mounts.missing_host_path", self.missing_host_path != new.missing_host_path),
        ];
        let applied = applied.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| Change::Applied(key));
        let restart = restart.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| Change::NeedsRestart(key));
        applied.chain(restart).collect()
    }
}
