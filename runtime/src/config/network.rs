// SPDX-License-Identifier: Apache-2.0
//! `[network]`: what can be said of it without a look at the machine.

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
        // It begins with the key.
        Err(error) => Err(error.to_string()),
    }
}
