// SPDX-License-Identifier: Apache-2.0
//! Downloads that are cut, stall or drip, and registries that request a pause.

use crate::fixture::Node;
use crate::fixture::image::noise;
use crate::fixture::odd::{Answer, Odd};
use crate::parts::{BIG, big, dripping, hasty, layer_path, nothing_kept, small};
use gorae_image_service::Kind;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_download_goes_on_where_it_stopped() {
    let made = big();
    let (path, bytes) = (layer_path(&made), made.layers[0].blob.bytes.clone());
    let server = Odd::serve(&[("1", &made)], move |asked, before| {
        (asked.path == path && before == 0).then(|| Answer::new(200, bytes.clone()).cut_at(1_000_000))
    })
    .await;
    let node = Node::new();
    node.images.pull(&format!("{}/r:1", server.address), None).await.unwrap();
    let asked = server.asked_for(&layer_path(&made));
    assert_eq!(asked.len(), 2);
    let last = made.layers[0].blob.bytes.len() - 1;
    assert_eq!(asked[1].header("range"), Some(format!("bytes=1000000-{last}").as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_without_ranges_is_read_again_from_the_start() {
    let made = big();
    let (path, bytes) = (layer_path(&made), made.layers[0].blob.bytes.clone());
    let server = Odd::serve(&[("1", &made)], move |asked, before| {
        let answer = Answer::new(200, bytes.clone());
        (asked.path == path).then(|| if before == 0 { answer.cut_at(500_000) } else { answer })
    })
    .await;
    let node = Node::new();
    let pulled = node.images.pull(&format!("{}/r:1", server.address), None).await.unwrap();
    let held = node.images.hold(&pulled.id, "c").unwrap();
    assert_eq!(std::fs::read(held.layers[0].join("noise")).unwrap(), noise(BIG, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_download_is_resumed_and_given_up_with_its_numbers() {
    let made = big();
    let (path, bytes) = (layer_path(&made), made.layers[0].blob.bytes.clone());
    let server = Odd::serve(&[("1", &made)], move |asked, _| {
        let stuck = Answer::new(200, bytes.clone()).cut_at(700_000).lingering(Duration::from_secs(60));
        (asked.path == path).then_some(stuck)
    })
    .await;
    let node = Node::with(|c| {
        c.stall_timeout = Duration::from_millis(200);
        c.attempts = 3;
    });
    let begun = Instant::now();
    let error = node.images.pull(&format!("{}/r:1", server.address), None).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(5));
    let text = error.message();
    assert!(
        text.contains(&format!("stalled at 700000 of {} bytes after 3 attempts", made.layers[0].blob.bytes.len())),
        "{text}"
    );
    nothing_kept(&node);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dripping_download_is_given_up_with_its_numbers() {
    let made = big();
    let (path, bytes) = (layer_path(&made), made.layers[0].blob.bytes.clone());
    let server = Odd::serve(&[("1", &made)], move |asked, _| (asked.path == path).then(|| dripping(&bytes))).await;
    let node = Node::with(hasty);
    let begun = Instant::now();
    let error = node.images.pull(&format!("{}/r:1", server.address), None).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(5));
    let (text, size) = (error.message(), made.layers[0].blob.bytes.len());
    assert_eq!(error.kind(), Kind::RegistryUnavailable, "{text}");
    assert!(text.contains(&format!("of {size} bytes after 3 attempts: ")), "{text}");
    assert!(text.contains(" bytes in 500ms, at ") && text.ends_with(&format!(" of {size}")), "{text}");
    assert!(!text.contains("stalled at 0 of"), "what came is kept: {text}");
    nothing_kept(&node);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_that_a_mirror_drips_is_resumed_from_the_registry() {
    let made = big();
    let (path, bytes) = (layer_path(&made), made.layers[0].blob.bytes.clone());
    let mirror =
        Odd::serve(&[("1", &made)], move |asked, _| asked.path.starts_with(&path).then(|| dripping(&bytes))).await;
    let server = Odd::serve(&[("1", &made)], |_, _| None).await;
    let node = Node::with(hasty);
    node.hosts("reg.test", &format!("server = \"http://{}\"\n[host.\"http://{}\"]\n", server.address, mirror.address));
    let pulled = node.images.pull("reg.test/r:1", None).await.unwrap();
    let held = node.images.hold(&pulled.id, "c").unwrap();
    assert_eq!(std::fs::read(held.layers[0].join("noise")).unwrap(), noise(BIG, 1));
    let asked = server.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    let range = asked[0].header("range").unwrap();
    assert!(!range.starts_with("bytes=0-"), "{range}");
    assert_eq!(mirror.asked_for(&layer_path(&made)).len(), 1, "a mirror is asked once");
}

#[tokio::test(flavor = "multi_thread")]
async fn manifests_and_configs_that_drip_fail_the_pull() {
    let made = small();
    for (part, what, blob) in
        [("/manifests/", "manifest 1 of", &made.manifest), ("/blobs/", "config sha256:", &made.config)]
    {
        let slow = Answer::new(200, blob.bytes.clone()).in_pieces(1, Duration::from_millis(20));
        let server = Odd::serve(&[("1", &made)], move |asked, _| asked.path.contains(part).then(|| slow.clone())).await;
        let node = Node::with(hasty);
        let error = node.images.pull(&format!("{}/r:1", server.address), None).await.unwrap_err();
        let text = error.message();
        assert_eq!(error.kind(), Kind::RegistryUnavailable, "{text}");
        assert!(text.contains(" bytes in 500ms, at ") && text.contains(what), "{text}");
        assert!(text.ends_with(&format!(" of {}", blob.bytes.len())), "{text}");
        assert_eq!(server.asked_for(part).len(), 3, "{part}");
        nothing_kept(&node);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_may_take_longer_than_a_stall_as_long_as_bytes_come() {
    let (made, stall) = (big(), Duration::from_secs(2));
    let (path, bytes) = (layer_path(&made), made.layers[0].blob.bytes.clone());
    let piece = bytes.len() / 24;
    let server = Odd::serve(&[("1", &made)], move |asked, _| {
        (asked.path == path).then(|| Answer::new(200, bytes.clone()).in_pieces(piece, stall / 20))
    })
    .await;
    let node = Node::with(|c| c.stall_timeout = stall);
    let begun = Instant::now();
    node.images.pull(&format!("{}/r:1", server.address), None).await.unwrap();
    assert!(begun.elapsed() > stall, "the whole has no limit: {:?}", begun.elapsed());
    assert_eq!(server.asked_for(&layer_path(&made)).len(), 1, "it was never broken off");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_requests_are_answered_with_patience() {
    let made = small();
    let server = Odd::serve(&[("1", &made)], |_, before| {
        (before < 2).then(|| Answer::new(if before == 0 { 429 } else { 503 }, ""))
    })
    .await;
    let node = Node::new();
    node.images.pull(&format!("{}/r:1", server.address), None).await.unwrap();
    assert_eq!(server.asked_for("manifests/1").len(), 3);
    let busy = Odd::serve(&[], |_, _| {
        Some(Answer::new(429, r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"limit is 100"}]}"#))
    })
    .await;
    let error = node.images.pull(&format!("{}/r:1", busy.address), None).await.unwrap_err();
    assert_eq!(error.kind(), Kind::RegistryUnavailable);
    assert!(error.message().contains("429 (TOOMANYREQUESTS: limit is 100)"), "{}", error.message());
}
