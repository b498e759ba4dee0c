// SPDX-License-Identifier: Apache-2.0
//! The `Node` service for Gorae's own clients: pull progress as a stream.

use std::pin::Pin;

use gorae_proto::node;
use gorae_proto::node::node_server::Node;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

use crate::images::Images;
use crate::pull::progress::{PullProgress, Stage};
use crate::service::status;

/// [`Images`]' progress as a gRPC service.
#[derive(Debug, Clone)]
pub struct ProgressService(pub Images);

type Updates = Pin<Box<dyn Stream<Item = Result<node::PullProgressUpdate, Status>> + Send>>;

#[tonic::async_trait]
impl Node for ProgressService {
    type PullProgressStream = Updates;

    async fn pull_progress(&self, request: Request<node::PullProgressRequest>) -> Result<Response<Updates>, Status> {
        let watch = self.0.progress(&request.into_inner().reference).map_err(status)?;
        // The stream ends when the client drops it; nothing runs between its polls.
        let updates = futures_util::stream::unfold(watch, |mut watch| async move {
            let progress = watch.next().await?;
            Some((Ok(message(&progress)), watch))
        });
        Ok(Response::new(Box::pin(updates)))
    }
}

fn message(progress: &PullProgress) -> node::PullProgressUpdate {
    let stage = match progress.stage {
        Stage::Resolving => node::PullStage::Resolving,
        Stage::Layers => node::PullStage::Layers,
        Stage::Committing => node::PullStage::Committing,
        Stage::Done => node::PullStage::Done,
        Stage::Failed => node::PullStage::Failed,
    };
    let layers = progress.layers.iter().map(|layer| node::LayerProgress {
        digest: layer.digest.to_string(),
        total: layer.total,
        downloaded: layer.downloaded,
        unpacked: layer.unpacked,
        done: layer.done,
    });
    let waiting = progress.waiting.clone().unwrap_or_default();
    node::PullProgressUpdate { stage: stage.into(), layers: layers.collect(), waiting }
}
