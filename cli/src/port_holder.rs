// SPDX-License-Identifier: Apache-2.0
//! Names the holder of a host port: the daemon's error contains the id of a pod, but people know its container.

use crate::client::Client;
use crate::failure::Refused;
use crate::labels;

/// The text before the pod's id in the daemon's message (`runtime/network/`).
const BY_POD: &str = "is taken by pod ";

/// Replaces the pod's id in such an error with the name of its container. Any other error is returned unchanged, and so
/// is one whose container cannot be found.
pub async fn name_the_holder(client: &Client, mut error: anyhow::Error) -> anyhow::Error {
    let Some(refused) = error.downcast_mut::<Refused>() else { return error };
    let Some(pod) = holder(&refused.message).map(str::to_owned) else { return error };
    let containers = client.containers().await.unwrap_or_default();
    let names: Vec<_> = containers.iter().filter(|c| c.pod_sandbox_id == pod).map(labels::display_name).collect();
    if !names.is_empty() {
        let named = format!("is taken by container {}", names.join(", "));
        refused.message = refused.message.replacen(&format!("{BY_POD}{pod}"), &named, 1);
    }
    error
}

/// The id of the pod that holds the port: 64 hexadecimal digits.
fn holder(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once(BY_POD)?;
    let id = rest.split(|c: char| !c.is_ascii_hexdigit()).next()?;
    (id.len() == 64).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pod_is_found_only_in_the_daemons_message() {
        let id = "0123456789abcdef".repeat(4);
        assert_eq!(holder(&format!("run pod a: host port 0.0.0.0:80/tcp is taken by pod {id}")), Some(&*id));
        assert_eq!(holder(&format!("host port 0.0.0.0:80/tcp is taken by pod {id}: stop it")), Some(&*id));
        for other in ["host port 0.0.0.0:80/tcp is taken by process 5 (nginx)", "is taken by pod 12ab", ""] {
            assert_eq!(holder(other), None, "{other}");
        }
    }
}
