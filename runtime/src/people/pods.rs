// SPDX-License-Identifier: Apache-2.0
//! `gorae.v1.Pods`.

use gorae_node::Node;
use gorae_node::error::Error;
use gorae_node::pod::{run, settings};
use gorae_proto::gorae::{self, pods_server::Pods};
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// Serves a node as `gorae.v1.Pods`.
#[derive(Debug, Clone)]
pub struct PodService(pub Arc<Node>);

#[tonic::async_trait]
impl Pods for PodService {
    async fn run_pod(&self, request: Request<gorae::RunPodRequest>) -> Result<Response<gorae::RunPodResponse>, Status> {
        let gorae::RunPodRequest { config, network } = request.into_inner();
        let config = config.ok_or_else(|| Error::invalid("config is not set"))?;
        // It runs to completion in an operation that repeated requests join.
        let asked = run::Asked { config, runtime_handler: String::new(), settings: network };
        let pod_id = run::run(self.0.clone(), asked).await?;
        Ok(Response::new(gorae::RunPodResponse { pod_id: pod_id.to_string() }))
    }

    async fn pod_network(
        &self,
        request: Request<gorae::PodNetworkRequest>,
    ) -> Result<Response<gorae::PodNetworkResponse>, Status> {
        let pod = self.0.objects.pods.find(&request.into_inner().pod_id)?;
        Ok(Response::new(gorae::PodNetworkResponse { network: settings::current(&pod) }))
    }
}
