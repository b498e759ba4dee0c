// SPDX-License-Identifier: Apache-2.0
//! Networks that people make: requests about them. Other runtimes do not have the services.

use crate::client::Client;
use crate::failure::refused;
use anyhow::Result;
use gorae_proto::gorae::{PodNetworkRequest, PodNetworkSettings};
use tonic::{Code, Status};

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
