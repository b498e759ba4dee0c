// SPDX-License-Identifier: Apache-2.0
//! Requests of the image service.

use gorae_proto::cri::*;
use gorae_tests::cri::spec;
use gorae_tests::{BUSYBOX, TINY, on_a_node};
use tokio_stream::StreamExt;

#[test]
fn lists_of_images_pass_their_filter_streamed_or_not() {
    on_a_node(async |node| {
        node.cri().pull(TINY).await.unwrap();
        let wanted = node.cri().pull(BUSYBOX).await.unwrap();
        let mut images = node.cri().images();
        let filter = |image: &str| Some(ImageFilter { image: Some(spec(image)) });
        for (name, count) in [(BUSYBOX, 1), (wanted.as_str(), 1), ("images.gorae.test/gorae/absent:1", 0)] {
            let request = ListImagesRequest { filter: filter(name) };
            let listed = images.list_images(request).await.unwrap().into_inner().images;
            let request = StreamImagesRequest { filter: filter(name) };
            let mut stream = images.stream_images(request).await.unwrap().into_inner();
            let mut streamed = Vec::new();
            while let Some(message) = stream.next().await {
                streamed.extend(message.unwrap().images);
            }
            assert_eq!(listed, streamed, "{name}");
            assert_eq!(listed.len(), count, "{name}");
            assert!(listed.iter().all(|i| i.id == wanted), "{name}");
        }
        assert_eq!(node.cri().list_images().await.unwrap().len(), 2);
    });
}

#[test]
fn a_pull_for_a_handler_that_is_not_there_is_refused() {
    on_a_node(async |node| {
        let pull = |handler: &str| PullImageRequest {
            image: Some(ImageSpec { runtime_handler: handler.to_owned(), ..spec(TINY) }),
            sandbox_config: Some(PodSandboxConfig::default()),
            ..Default::default()
        };
        let error = node.cri().images().pull_image(pull("no-such-handler")).await.unwrap_err();
        assert!(error.message().contains("no-such-handler"), "{error:?}");
        node.cri().images().pull_image(pull("gorae")).await.unwrap();
        let remove = RemoveImageRequest { image: Some(spec(TINY)) };
        node.cri().images().remove_image(remove).await.unwrap();
        assert!(node.cri().image(TINY).await.unwrap().is_none());
    });
}
