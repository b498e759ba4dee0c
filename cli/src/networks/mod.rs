// SPDX-License-Identifier: Apache-2.0
//! Networks that people make: requests about them, and how they are shown. Other runtimes do not have the services.

pub mod docker_form;
pub mod memberships;
pub mod next_attempt;

use crate::client::Client;
use crate::failure::refused;
use anyhow::{Result, bail};
use gorae_proto::gorae::{ListNetworksRequest, Network, PodNetworkRequest, PodNetworkSettings};
use tonic::{Code, Status};

/// Lists all networks by name, with the pods in them.
///
/// # Errors
/// When the daemon refuses, or does not have networks.
pub async fn list(client: &Client) -> Result<Vec<Network>> {
    let answer = client.networks().list_networks(ListNetworksRequest::default()).await;
    Ok(answer.map_err(refused(|| "list networks"))?.into_inner().networks)
}

/// The network with this name or id, which may be shortened; `None` when there is no such network, or the daemon does not
/// have networks.
///
/// # Errors
/// When the daemon refuses, or several networks could be meant.
pub async fn find(client: &Client, text: &str) -> Result<Option<Network>> {
    let request = ListNetworksRequest { network: text.to_owned() };
    match client.networks().list_networks(request).await {
        Ok(answer) => the_one(text, answer.into_inner().networks),
        Err(status) if is_absent(&status) || status.code() == Code::NotFound => Ok(None),
        Err(status) => Err(refused(|| format!("inspect network {text}"))(status)),
    }
}

/// The only one of the networks that the daemon found; an empty name would have given all.
fn the_one(text: &str, mut found: Vec<Network>) -> Result<Option<Network>> {
    if text.is_empty() {
        bail!("the name is empty");
    }
    match found.len() {
        0 | 1 => Ok(found.pop()),
        several => bail!("{text:?} could mean any of {several} networks: write more of the id"),
    }
}

/// The network of a pod as it is now, in the form of a request; `None` for one that the CRI can ask for.
///
/// # Errors
/// When the pod does not exist, or the daemon refuses.
pub async fn of_pod(client: &Client, pod: &str) -> Result<Option<PodNetworkSettings>> {
    let request = PodNetworkRequest { pod_id: pod.to_owned() };
    match client.own_pods().pod_network(request).await {
        Ok(answer) => Ok(answer.into_inner().network),
        Err(status) if is_absent(&status) => Ok(None),
        Err(status) => Err(refused(|| format!("inspect the network of pod {pod:.12}"))(status)),
    }
}

/// Whether the daemon does not have the service.
fn is_absent(status: &Status) -> bool {
    status.code() == Code::Unimplemented
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_network_is_found_or_none() {
        let network = |name: &str| Network { name: name.into(), ..Network::default() };
        assert_eq!(the_one("a", vec![network("a")]).expect("one"), Some(network("a")));
        assert_eq!(the_one("a", Vec::new()).expect("none"), None);
        assert!(the_one("a", vec![network("a1"), network("a2")]).expect_err("two").to_string().contains("2 networks"));
        assert!(the_one("", vec![network("a")]).is_err());
    }
}
