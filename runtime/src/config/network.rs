// SPDX-License-Identifier: Apache-2.0
//! `[network]`: the checks that do not depend on the machine.

use super::raw::RawNetwork;
use gorae_network::{NetworkConfig, NetworkError};

/// Checks the section.
///
/// # Errors
/// A sentence that begins with the key.
pub fn check(raw: RawNetwork) -> Result<NetworkConfig, String> {
    let config = NetworkConfig { bridge: raw.bridge, subnet: raw.subnet, subnet6: raw.subnet6, mtu: raw.mtu };
    match config.check() {
        Ok(()) => Ok(config),
        Err(error @ NetworkError::SubnetTooSmall { .. }) => Err(format!("network.subnet: {error}")),
        // Every other error already begins with the key.
        Err(error) => Err(error.to_string()),
    }
}
