// SPDX-License-Identifier: Apache-2.0
//! `gorae.v1.Networks`.

use super::{definition, listing};
use crate::cri::to_completion;
use gorae_node::Node;
use gorae_node::error::{Error, Kind};
use gorae_node::pod::connecting;
use gorae_proto::gorae::{self, networks_server::Networks};
use std::sync::Arc;
use tonic::{Request, Response, Status};

type Reply<T> = Result<Response<T>, Status>;

/// Serves a node as `gorae.v1.Networks`.
#[derive(Debug, Clone)]
pub struct NetworkService(pub Arc<Node>);

#[tonic::async_trait]
impl Networks for NetworkService {
    async fn create_network(
        &self,
        request: Request<gorae::CreateNetworkRequest>,
    ) -> Reply<gorae::CreateNetworkResponse> {
        let gorae::CreateNetworkRequest { name, settings } = request.into_inner();
        let wish = definition::read(name, settings.unwrap_or_default())?;
        let people = self.0.networks.people.clone();
        let made = to_completion(async move { Ok(people.create(wish).await?) }).await?;
        let network = listing::network(&self.0, &self.0.networks.people.find(&made.id).map_err(Error::from)?);
        Ok(Response::new(gorae::CreateNetworkResponse { network: Some(network) }))
    }

    async fn list_networks(&self, request: Request<gorae::ListNetworksRequest>) -> Reply<gorae::ListNetworksResponse> {
        let networks = match request.into_inner().network.as_str() {
            "" => listing::all(&self.0),
            name => vec![listing::find(&self.0, name)?],
        };
        Ok(Response::new(gorae::ListNetworksResponse { networks }))
    }

    async fn remove_network(
        &self,
        request: Request<gorae::RemoveNetworkRequest>,
    ) -> Reply<gorae::RemoveNetworkResponse> {
        let (people, network) = (self.0.networks.people.clone(), request.into_inner().network);
        listing::refuse_predefined(&network)?;
        let name = to_completion(async move { Ok(people.remove(&network).await?) }).await?;
        Ok(Response::new(gorae::RemoveNetworkResponse { name }))
    }

    async fn prune_networks(
        &self,
        request: Request<gorae::PruneNetworksRequest>,
    ) -> Reply<gorae::PruneNetworksResponse> {
        let gorae::PruneNetworksRequest { created_before, labels } = request.into_inner();
        let (people, labels) = (self.0.networks.people.clone(), labels.into_iter().collect());
        let names = to_completion(async move { Ok(people.prune(created_before, &labels).await?) }).await?;
        Ok(Response::new(gorae::PruneNetworksResponse { names }))
    }

    async fn connect_network(
        &self,
        request: Request<gorae::ConnectNetworkRequest>,
    ) -> Reply<gorae::ConnectNetworkResponse> {
        let gorae::ConnectNetworkRequest { pod_id, wish } = request.into_inner();
        let wish = wish.ok_or_else(|| Error::invalid("wish is not set"))?;
        let (node, pod) = (self.0.clone(), self.0.objects.pods.find(&pod_id)?);
        let of = (node.clone(), pod.clone());
        let made = to_completion(async move { connecting::connect(&of.0, &of.1, &wish).await }).await?;
        let member = made.map(|one| listing::member(&node, pod.id(), &one));
        Ok(Response::new(gorae::ConnectNetworkResponse { member }))
    }

    async fn disconnect_network(
        &self,
        request: Request<gorae::DisconnectNetworkRequest>,
    ) -> Reply<gorae::DisconnectNetworkResponse> {
        let gorae::DisconnectNetworkRequest { pod_id, network, force } = request.into_inner();
        let node = self.0.clone();
        let done = to_completion(async move {
            let pod = node.objects.pods.find(&pod_id)?;
            connecting::disconnect(&node, &pod, &network).await
        });
        match done.await {
            Err(error) if force && error.kind() == Kind::NotFound => {}
            done => done?,
        }
        Ok(Response::new(gorae::DisconnectNetworkResponse {}))
    }
}
