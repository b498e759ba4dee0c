// SPDX-License-Identifier: Apache-2.0
//! `gorae.v1.Images`, for Gorae's own clients: pull progress as a stream, and removing one name of an image.

use crate::images::Images;
use crate::pull::progress::{PullProgress, Stage};
use crate::service::status;
use crate::store::NameRemoval;
use gorae_proto::gorae;
use std::pin::Pin;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

/// Serves [`Images`] as `gorae.v1.Images`, for features that the CRI lacks.
#[derive(Debug, Clone)]
pub struct ProgressService(pub Images);

type Updates = Pin<Box<dyn Stream<Item = Result<gorae::PullProgressUpdate, Status>> + Send>>;

#[tonic::async_trait]
impl gorae::images_server::Images for ProgressService {
    type PullProgressStream = Updates;

    async fn pull_progress(&self, request: Request<gorae::PullProgressRequest>) -> Result<Response<Updates>, Status> {
        let watch = self.0.progress(&request.into_inner().reference).map_err(status)?;
        // The stream ends when the client drops it; nothing runs between its polls.
        let updates = futures_util::stream::unfold(watch, |mut watch| async move {
            let progress = watch.next().await?;
            Some((Ok(message(&progress)), watch))
        });
        Ok(Response::new(Box::pin(updates)))
    }

    async fn remove_image_name(
        &self,
        request: Request<gorae::RemoveImageNameRequest>,
    ) -> Result<Response<gorae::RemoveImageNameResponse>, Status> {
        let (images, name) = (self.0.clone(), request.into_inner().name);
        let removed = tokio::task::spawn_blocking(move || images.remove_name(&name)).await;
        let outcome = match removed.map_err(|_| Status::internal("the removal was interrupted"))?.map_err(status)? {
            NameRemoval::NoSuchName => gorae::NameRemoval::NoSuchName,
            NameRemoval::Removed => gorae::NameRemoval::Removed,
            NameRemoval::LastName => gorae::NameRemoval::LastName,
        };
        Ok(Response::new(gorae::RemoveImageNameResponse { outcome: outcome.into() }))
    }
}

fn message(progress: &PullProgress) -> gorae::PullProgressUpdate {
    let stage = match progress.stage {
        Stage::Resolving => gorae::PullStage::Resolving,
        Stage::Layers => gorae::PullStage::Layers,
        Stage::Committing => gorae::PullStage::Committing,
        Stage::Done => gorae::PullStage::Done,
        Stage::Failed => gorae::PullStage::Failed,
    };
    let layers = progress.layers.iter().map(|layer| gorae::LayerProgress {
        digest: layer.digest.to_string(),
        total: layer.total,
        downloaded: layer.downloaded,
        unpacked: layer.unpacked,
        done: layer.done,
    });
    let waiting = progress.waiting.clone().unwrap_or_default();
    gorae::PullProgressUpdate { stage: stage.into(), layers: layers.collect(), waiting }
}
