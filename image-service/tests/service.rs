// SPDX-License-Identifier: Apache-2.0
//! The two gRPC services over a real connection.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod fixture;

use fixture::debian::Registry;
use fixture::image::{Flavour, Image, Packing, image, image_with, layer, noise};
use fixture::odd::{Answer, Odd};
use fixture::{Node, entries, eventually};
use gorae_image_service::{ProgressService, Service};
use gorae_proto::cri::image_service_client::ImageServiceClient;
use gorae_proto::cri::image_service_server::{ImageService as _, ImageServiceServer};
use gorae_proto::gorae::images_client::ImagesClient;
use gorae_proto::gorae::images_server::ImagesServer;
use gorae_proto::{cri, gorae};
use serde_json::json;
use std::time::{Duration, Instant};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Server};
use tonic::{Code, Request};

/// Serves a node and connects to it.
async fn connect(node: &Node) -> Channel {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::builder()
        .add_service(ImageServiceServer::new(Service(node.images.clone())))
        .add_service(ImagesServer::new(ProgressService(node.images.clone())));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}

fn spec(image: &str) -> Option<cri::ImageSpec> {
    Some(cri::ImageSpec { image: image.to_owned(), ..Default::default() })
}

fn pull(image: &str) -> cri::PullImageRequest {
    cri::PullImageRequest { image: spec(image), ..Default::default() }
}

fn status(image: &str) -> cri::ImageStatusRequest {
    cri::ImageStatusRequest { image: spec(image), verbose: false }
}

fn small() -> Image {
    image(Flavour::Oci, vec![layer(Packing::Gzip, &[("f", b"1")])])
}

/// A registry whose layers never end.
async fn endless(made: &Image) -> Odd {
    let path = format!("/v2/r/blobs/{}", made.layers[0].blob.digest);
    let bytes = made.layers[0].blob.bytes.clone();
    Odd::serve(&[("1", made)], move |asked, _| {
        let endless = Answer::new(200, bytes.clone()).cut_at(1 << 20).lingering(Duration::from_secs(60));
        (asked.path == path).then_some(endless)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_store_has_a_filesystem_and_no_images() {
    let node = Node::new();
    let mut client = ImageServiceClient::new(connect(&node).await);
    let info = client.image_fs_info(cri::ImageFsInfoRequest {}).await.unwrap().into_inner();
    let layers = &info.image_filesystems[0];
    assert!(layers.timestamp > 0 && layers.used_bytes.is_some() && layers.inodes_used.is_some());
    assert!(std::path::Path::new(&layers.fs_id.as_ref().unwrap().mountpoint).is_dir());
    assert!(client.list_images(cri::ListImagesRequest::default()).await.unwrap().into_inner().images.is_empty());
    let mut stream = client.stream_images(cri::StreamImagesRequest::default()).await.unwrap().into_inner();
    assert!(stream.next().await.is_none());
    assert_eq!(client.image_status(status("busybox")).await.unwrap().into_inner().image, None);
    for _ in 0..2 {
        let gone = cri::RemoveImageRequest { image: spec(&"0".repeat(64)) };
        client.remove_image(gone).await.unwrap();
    }
    assert_eq!(client.image_status(status("")).await.unwrap_err().code(), Code::InvalidArgument);
    let unnamed = client.remove_image(cri::RemoveImageRequest::default()).await.unwrap_err();
    assert_eq!(unnamed.code(), Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_looks_the_same_by_every_reference() {
    let (registry, node) = (Registry::open().await, Node::new());
    let made = small();
    let mut client = ImageServiceClient::new(connect(&node).await);
    let mut names = Vec::new();
    for (repository, tag) in [("tags", "1"), ("tags", "2"), ("other/repo", "latest")] {
        let name = registry.push(repository, tag, &made).await;
        let id = client.pull_image(pull(&name)).await.unwrap().into_inner().image_ref;
        assert_eq!(id, made.id.to_string());
        names.push(name);
    }
    let listed = client.list_images(cri::ListImagesRequest::default()).await.unwrap().into_inner().images;
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].repo_tags.len(), listed[0].repo_digests.len()), (3, 2));
    assert_eq!((listed[0].uid.as_ref().map(|u| u.value), listed[0].username.as_str()), (Some(1002), ""));
    let mut any = listed[0].repo_tags.clone();
    any.extend(listed[0].repo_digests.clone());
    any.extend([listed[0].id.clone(), listed[0].id[7..20].to_owned(), format!("{}/other/repo", registry.address)]);
    for name in &any {
        let found = client.image_status(status(name)).await.unwrap().into_inner();
        assert_eq!(found.image.as_ref(), Some(&listed[0]), "{name}");
        assert!(found.info.is_empty());
        let filter = Some(cri::ImageFilter { image: spec(name) });
        let filtered = client.list_images(cri::ListImagesRequest { filter }).await.unwrap().into_inner().images;
        assert_eq!(filtered, listed, "{name}");
    }
    let filter = Some(cri::ImageFilter { image: spec("not/here") });
    assert!(client.list_images(cri::ListImagesRequest { filter }).await.unwrap().into_inner().images.is_empty());
    let verbose = cri::ImageStatusRequest { image: spec(&names[0]), verbose: true };
    let info = client.image_status(verbose).await.unwrap().into_inner().info;
    let info: serde_json::Value = serde_json::from_str(&info["info"]).unwrap();
    assert_eq!(info["imageSpec"]["config"]["Cmd"], json!(["sh"]));
    client.remove_image(cri::RemoveImageRequest { image: spec(&names[1]) }).await.unwrap();
    for name in &any {
        assert_eq!(client.image_status(status(name)).await.unwrap().into_inner().image, None, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_gives_each_image_once() {
    let (registry, node) = (Registry::open().await, Node::new());
    let mut client = ImageServiceClient::new(connect(&node).await);
    for n in 0..3 {
        let user = ["www-data:www-data", "", "0"][n];
        let made = image_with(Flavour::Oci, Vec::new(), json!({ "User": user, "Labels": { "n": n.to_string() } }));
        let name = registry.push(&format!("app{n}"), "1", &made).await;
        client.pull_image(pull(&name)).await.unwrap();
    }
    let mut stream = client.stream_images(cri::StreamImagesRequest::default()).await.unwrap().into_inner();
    let mut images = Vec::new();
    while let Some(message) = stream.next().await {
        images.extend(message.unwrap().images);
    }
    images.sort_by(|a, b| a.repo_tags.cmp(&b.repo_tags));
    let users: Vec<_> = images.iter().map(|i| (i.uid.as_ref().map(|u| u.value), i.username.as_str())).collect();
    assert_eq!(users, [(None, "www-data"), (None, ""), (Some(0), "")]);
    assert!(images.iter().all(|image| image.size > 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_that_passes_ends_the_pull_and_is_said() {
    let made = image(Flavour::Oci, vec![layer(Packing::Gzip, &[("noise", &noise(3 << 20, 1))])]);
    let (server, node) = (endless(&made).await, Node::with(|c| c.stall_timeout = Duration::from_secs(30)));
    let mut client = ImageServiceClient::new(connect(&node).await);
    let request = |milliseconds: &str| {
        let mut request = Request::new(pull(&format!("{}/r:1", server.address)));
        request.metadata_mut().insert("grpc-timeout", format!("{milliseconds}m").parse().unwrap());
        request
    };
    let begun = Instant::now();
    let error = client.pull_image(request("600")).await.unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded, "{error:?}");
    // This deadline is so short that a client would time out on its own, so call the service directly.
    let error = Service(node.images.clone()).pull_image(request("1")).await.unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded, "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(2));
    eventually("temp is empty", || entries(&node.root().join("temp")).is_empty());
    assert!(node.images.list().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_stops_the_download() {
    let made = image(Flavour::Oci, vec![layer(Packing::Gzip, &[("noise", &noise(3 << 20, 1))])]);
    let (server, node) = (endless(&made).await, Node::with(|c| c.stall_timeout = Duration::from_secs(30)));
    let mut client = ImageServiceClient::new(connect(&node).await);
    let name = format!("{}/r:1", server.address);
    let pulling = tokio::spawn(async move { client.pull_image(pull(&name)).await.map(drop) });
    eventually("the layer is on its way", || !entries(&node.root().join("temp")).is_empty());
    pulling.abort();
    eventually("temp is empty", || entries(&node.root().join("temp")).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_have_the_codes_that_kubelet_reads() {
    let (registry, node) = (Registry::open().await, Node::with(|c| c.attempts = 1));
    let mut client = ImageServiceClient::new(connect(&node).await);
    let dead = client.pull_image(pull("127.0.0.1:1/app:1")).await.unwrap_err();
    assert_eq!(dead.code(), Code::Unknown);
    assert!(dead.message().starts_with("RegistryUnavailable"), "{}", dead.message());
    let absent = client.pull_image(pull(&format!("{}/no:1", registry.address))).await.unwrap_err();
    assert_eq!(absent.code(), Code::NotFound);
    for bad in ["", "UP PER", "http://x/y", "a@sha256:1"] {
        assert_eq!(client.pull_image(pull(bad)).await.unwrap_err().code(), Code::InvalidArgument, "{bad:?}");
    }
    let mut handled = pull(&format!("{}/no:1", registry.address));
    handled.image.as_mut().unwrap().runtime_handler = "kata".into();
    assert_eq!(client.pull_image(handled).await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_streamed_to_the_end_of_the_pull() {
    let (registry, node) = (Registry::open().await, Node::new());
    let channel = connect(&node).await;
    let made = image(Flavour::Oci, vec![layer(Packing::Gzip, &[("noise", &noise(1 << 20, 1))])]);
    let name = registry.push("app", "1", &made).await;
    let request = gorae::PullProgressRequest { reference: name.clone() };
    let mut updates = ImagesClient::new(channel.clone()).pull_progress(request).await.unwrap().into_inner();
    ImageServiceClient::new(channel).pull_image(pull(&name)).await.unwrap();
    let mut last = None;
    while let Some(update) = updates.next().await {
        last = Some(update.unwrap());
    }
    let last = last.unwrap();
    assert_eq!(last.stage(), gorae::PullStage::Done);
    assert_eq!(last.layers[0].downloaded, last.layers[0].total);
    assert!(last.layers[0].done);
}
