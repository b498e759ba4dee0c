// SPDX-License-Identifier: Apache-2.0
//! `[network]`: the checks that do not depend on the machine.

use super::paths::all_absolute;
use super::raw::{Auto, RawMasquerade, RawNetwork};
use gorae_attachments::Places;
use gorae_cni::directory::Directory;
use gorae_cni::{name, programs};
use gorae_network::{Masquerade, NetworkConfig, NetworkError};
use std::path::PathBuf;

/// The usual directory of CNI configurations.
const CONFIGURATIONS: &str = "/etc/cni/net.d";

/// Checks what is about CNI.
///
/// # Errors
/// A sentence that begins with the key.
pub fn cni(raw: &RawNetwork) -> Result<Places, String> {
    let paths = raw.configuration_directories.clone().unwrap_or_else(|| vec![CONFIGURATIONS.into()]);
    let plugins = raw.plugin_directories.clone();
    let plugins = plugins.unwrap_or_else(|| programs::DEFAULT_DIRECTORIES.map(PathBuf::from).to_vec());
    if let Some(path) = plugins.iter().find(|path| !programs::can_be_searched(path)) {
        return Err(format!("network.plugin_directories: {} is not absolute, or has a colon", path.display()));
    }
    if let Some(bad) = raw.name.as_ref().filter(|name| !name::is_network_name(name)) {
        return Err(format!("network.name: {bad:?} is not a name of a network (letters, digits, _, . and -)"));
    }
    let paths = all_absolute("network.configuration_directories", paths)?;
    Ok(Places { configuration: Directory { paths, network: raw.name.clone() }, plugins })
}

/// Checks the section.
///
/// # Errors
/// A sentence that begins with the key.
pub fn check(raw: RawNetwork) -> Result<NetworkConfig, String> {
    let RawNetwork { bridge, families, subnet, subnet6, mtu, open_forward, .. } = raw;
    let masquerade = match raw.masquerade {
        None | Some(RawMasquerade::Word(Auto::Auto)) => Masquerade::Auto,
        Some(RawMasquerade::Switch(true)) => Masquerade::Always,
        Some(RawMasquerade::Switch(false)) => Masquerade::Never,
    };
    let config = NetworkConfig { bridge, families, subnet, subnet6, mtu, masquerade, open_forward };
    match config.check() {
        Ok(()) => Ok(config),
        Err(error @ NetworkError::SubnetTooSmall { .. }) => Err(format!("network.subnet: {error}")),
        // Every other error already begins with the key.
        Err(error) => Err(error.to_string()),
    }
}
