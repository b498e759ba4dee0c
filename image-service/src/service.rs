// SPDX-License-Identifier: Apache-2.0
//! The CRI ImageService: translates between messages and [`Images`], nothing else.

use crate::error::{Error, Kind};
use crate::image::Image;
use crate::images::Images;
use gorae_image_formats::reference::without_userinfo;
use gorae_image_formats::user::User;
use gorae_proto::cri;
use gorae_proto::cri::image_service_server::ImageService;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_stream::Stream;
use tonic::{Code, Request, Response, Status};

/// Images per message of a stream: far below the message limit of any client.
const IMAGES_PER_MESSAGE: usize = 200;

/// Serves [`Images`] as a gRPC service.
#[derive(Debug, Clone)]
pub struct Service(pub Images);

type Streamed = std::pin::Pin<Box<dyn Stream<Item = Result<cri::StreamImagesResponse, Status>> + Send>>;

#[tonic::async_trait]
impl ImageService for Service {
    async fn list_images(
        &self,
        request: Request<cri::ListImagesRequest>,
    ) -> Result<Response<cri::ListImagesResponse>, Status> {
        let images = self.filtered(request.into_inner().filter)?;
        Ok(Response::new(cri::ListImagesResponse { images }))
    }

    type StreamImagesStream = Streamed;

    async fn stream_images(&self, request: Request<cri::StreamImagesRequest>) -> Result<Response<Streamed>, Status> {
        let images = self.filtered(request.into_inner().filter)?;
        let messages: Vec<_> = images
            .chunks(IMAGES_PER_MESSAGE)
            .map(|part| Ok(cri::StreamImagesResponse { images: part.to_vec() }))
            .collect();
        Ok(Response::new(Box::pin(tokio_stream::iter(messages))))
    }

    async fn image_status(
        &self,
        request: Request<cri::ImageStatusRequest>,
    ) -> Result<Response<cri::ImageStatusResponse>, Status> {
        let cri::ImageStatusRequest { image, verbose } = request.into_inner();
        let name = named(image)?;
        let found = self.0.find(&name).map_err(status)?;
        let info = found.as_ref().filter(|_| verbose).map(info).unwrap_or_default();
        Ok(Response::new(cri::ImageStatusResponse { image: found.as_deref().map(message), info }))
    }

    /// Ends early when the client disconnects or its deadline passes; the downloads then stop.
    async fn pull_image(
        &self,
        request: Request<cri::PullImageRequest>,
    ) -> Result<Response<cri::PullImageResponse>, Status> {
        let deadline = deadline(&request);
        let cri::PullImageRequest { image, auth, .. } = request.into_inner();
        let image = image.unwrap_or_default();
        let handlers = &self.0.config().runtime_handlers;
        if !image.runtime_handler.is_empty() && !handlers.contains(&image.runtime_handler) {
            return Err(status(Error::RuntimeHandler(image.runtime_handler)));
        }
        let pulling = self.0.pull(&image.image, auth.as_ref());
        let pulled = match deadline {
            Some(left) => tokio::time::timeout(left, pulling).await.map_err(|_| {
                let shown = without_userinfo(&image.image);
                Status::deadline_exceeded(format!("pulling {shown:?} took longer than the client's deadline"))
            })?,
            None => pulling.await,
        };
        let image_ref = pulled.map_err(status)?.id.clone();
        Ok(Response::new(cri::PullImageResponse { image_ref }))
    }

    async fn remove_image(
        &self,
        request: Request<cri::RemoveImageRequest>,
    ) -> Result<Response<cri::RemoveImageResponse>, Status> {
        let name = named(request.into_inner().image)?;
        let images = self.0.clone();
        let removed = tokio::task::spawn_blocking(move || images.remove(&name)).await;
        removed.map_err(|_| Status::internal("the removal was interrupted"))?.map_err(status)?;
        Ok(Response::new(cri::RemoveImageResponse {}))
    }

    async fn image_fs_info(
        &self,
        _: Request<cri::ImageFsInfoRequest>,
    ) -> Result<Response<cri::ImageFsInfoResponse>, Status> {
        let usage = self.0.usage();
        let since_epoch = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or(Duration::from_nanos(1));
        let layers = cri::FilesystemUsage {
            timestamp: i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX),
            fs_id: Some(cri::FilesystemIdentifier { mountpoint: usage.mountpoint.to_string_lossy().into_owned() }),
            used_bytes: Some(cri::UInt64Value { value: usage.used_bytes }),
            inodes_used: Some(cri::UInt64Value { value: usage.inodes_used }),
        };
        let container_filesystems = vec![layers.clone()];
        Ok(Response::new(cri::ImageFsInfoResponse { image_filesystems: vec![layers], container_filesystems }))
    }
}

impl Service {
    fn filtered(&self, filter: Option<cri::ImageFilter>) -> Result<Vec<cri::Image>, Status> {
        let wanted = filter.and_then(|filter| filter.image).map(|image| image.image).unwrap_or_default();
        if wanted.is_empty() {
            return Ok(self.0.list().iter().map(|image| message(image)).collect());
        }
        let found = self.0.find(&wanted).map_err(status)?;
        Ok(found.iter().map(|image| message(image)).collect())
    }
}

/// Returns the image's name, which must not be empty.
fn named(image: Option<cri::ImageSpec>) -> Result<String, Status> {
    let name = image.unwrap_or_default().image;
    if name.is_empty() { Err(Status::invalid_argument("no image name was given")) } else { Ok(name) }
}

/// Describes an image for the CRI, independent of the name in the request.
pub fn message(image: &Image) -> cri::Image {
    let (uid, username) = match image.user() {
        User::Unset => (None, String::new()),
        User::Id(id) => (Some(cri::Int64Value { value: i64::from(id) }), String::new()),
        User::Name(name) => (None, name),
    };
    cri::Image {
        id: image.id.clone(),
        repo_tags: image.repo_tags.clone(),
        repo_digests: image.repo_digests.clone(),
        size: image.size,
        uid,
        username,
        spec: Some(cri::ImageSpec { image: image.id.clone(), ..Default::default() }),
        pinned: false,
    }
}

fn info(image: &Arc<Image>) -> HashMap<String, String> {
    let layers: Vec<String> = image.layers.iter().map(ToString::to_string).collect();
    let info = serde_json::json!({ "imageSpec": image.config.as_ref(), "layers": layers });
    HashMap::from([("info".to_owned(), info.to_string())])
}

/// The time left until the client's deadline, minus a margin so that our response arrives first. Otherwise the transport
/// would report "cancelled".
fn deadline<T>(request: &Request<T>) -> Option<Duration> {
    let text = request.metadata().get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let value: u64 = digits.parse().ok()?;
    let left = match unit {
        "H" => Duration::from_secs(value.checked_mul(3600)?),
        "M" => Duration::from_secs(value.checked_mul(60)?),
        "S" => Duration::from_secs(value),
        "m" => Duration::from_millis(value),
        "u" => Duration::from_micros(value),
        "n" => Duration::from_nanos(value),
        _ => return None,
    };
    Some(left - (left / 10).min(Duration::from_millis(50)))
}

/// Converts an error for the client.
pub fn status(error: Error) -> Status {
    Status::new(code(error.kind()), error.message())
}

/// Maps kinds to gRPC codes; nothing else does.
pub fn code(kind: Kind) -> Code {
    match kind {
        Kind::InvalidArgument => Code::InvalidArgument,
        Kind::NotFound => Code::NotFound,
        Kind::FailedPrecondition => Code::FailedPrecondition,
        Kind::ResourceExhausted => Code::ResourceExhausted,
        Kind::Unauthenticated => Code::Unauthenticated,
        Kind::PermissionDenied => Code::PermissionDenied,
        // Kubelet recognises the text only with this code.
        Kind::RegistryUnavailable => Code::Unknown,
        Kind::Unimplemented => Code::Unimplemented,
        Kind::DataLoss => Code::DataLoss,
        Kind::Internal => Code::Internal,
    }
}
