// SPDX-License-Identifier: Apache-2.0
//! The user namespace that a pod requests.

use super::options::namespaces;
use crate::error::{Error, Result};
use gorae_proto::cri::{self, NamespaceMode};
use gorae_proto::shim;

/// The id mapping of the pod's own user namespace; `None` for the host's.
///
/// # Errors
/// `InvalidArgument` for a mode other than POD and NODE, for more than one mapping, for mappings in NODE
/// mode, and when container id 0 is not mapped.
pub fn user_mapping(config: &cri::PodSandboxConfig) -> Result<Option<shim::UserMapping>> {
    let Some(user) = namespaces(config).userns_options else { return Ok(None) };
    match user.mode() {
        NamespaceMode::Node => {
            if user.uids.is_empty() && user.gids.is_empty() {
                Ok(None)
            } else {
                Err(Error::invalid("userns_options: mode NODE does not take mappings"))
            }
        }
        NamespaceMode::Pod => {
            let one = |name: &str, maps: &[cri::IdMapping]| match maps {
                [m] if m.container_id == 0 && m.length > 0 && m.host_id.checked_add(m.length).is_some() => {
                    Ok(vec![shim::IdMap { container_id: 0, host_id: m.host_id, length: m.length }])
                }
                [_] => Err(Error::invalid(format!("userns_options.{name}: the mapping does not map container id 0"))),
                _ => Err(Error::invalid(format!(
                    "userns_options.{name}: exactly one mapping is supported, got {}",
                    maps.len()
                ))),
            };
            let mapping = shim::UserMapping { uids: one("uids", &user.uids)?, gids: one("gids", &user.gids)? };
            if user.uids != user.gids {
                return Err(Error::invalid("userns_options: uids and gids must have the same mapping"));
            }
            Ok(Some(mapping))
        }
        mode => Err(Error::invalid(format!("userns_options: mode {} is not supported", mode.as_str_name()))),
    }
}
