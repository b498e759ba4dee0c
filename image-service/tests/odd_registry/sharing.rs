// SPDX-License-Identifier: Apache-2.0
//! Concurrent pulls.

use crate::fixture::image::{Flavour, Packing, image, layer, noise};
use crate::fixture::odd::{Answer, Odd};
use crate::fixture::{Node, entries, eventually};
use crate::parts::{BIG, big, layer_path, nothing_kept, small};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn pulls_at_the_same_time_share_every_download() {
    let shared = layer(Packing::Gzip, &[("noise", &noise(BIG, 1))]);
    let one = image(Flavour::Oci, vec![shared.clone(), layer(Packing::Gzip, &[("own", b"1")])]);
    let two = image(Flavour::Oci, vec![shared.clone(), layer(Packing::Gzip, &[("own", b"2")])]);
    let server = Odd::serve(&[("1", &one), ("2", &two)], |asked, _| {
        // Slow enough that all pulls overlap.
        if asked.path.contains("/manifests/") {
            std::thread::sleep(Duration::from_millis(30))
        };
        None
    })
    .await;
    let node = Node::new();
    let pulls: Vec<_> = (0..10)
        .map(|n| {
            let (images, name) = (node.images.clone(), format!("{}/r:{}", server.address, 1 + n % 2));
            tokio::spawn(async move { images.pull(&name, None).await.map(|image| image.id.clone()) })
        })
        .collect();
    for (n, pull) in pulls.into_iter().enumerate() {
        let expected = if n % 2 == 0 { &one } else { &two };
        assert_eq!(pull.await.unwrap().unwrap(), expected.id.to_string());
    }
    for blob in [&shared.blob, &one.layers[1].blob, &two.layers[1].blob] {
        assert_eq!(server.asked_for(&blob.digest.to_string()).len(), 1);
    }
    assert_eq!(server.asked_for("/manifests/").len(), 2);
    assert_eq!(node.layers().len(), 3);
    node.settle();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_that_is_given_up_stops_and_leaves_nothing() {
    let made = big();
    let (path, bytes) = (layer_path(&made), made.layers[0].blob.bytes.clone());
    let server = Odd::serve(&[("1", &made)], move |asked, _| {
        let slow = Answer::new(200, bytes.clone()).cut_at(BIG / 2).lingering(Duration::from_secs(60));
        (asked.path == path).then_some(slow)
    })
    .await;
    let node = Node::with(|c| c.stall_timeout = Duration::from_secs(30));
    let name = format!("{}/r:1", server.address);
    let layer_began = || {
        !server.asked_for("/blobs/sha256").iter().filter(|a| a.path == layer_path(&made)).collect::<Vec<_>>().is_empty()
    };
    {
        let pull = node.images.pull(&name, None);
        tokio::pin!(pull);
        let deadline = Instant::now() + Duration::from_secs(5);
        while !layer_began() || entries(&node.root().join("temp")).is_empty() {
            assert!(Instant::now() < deadline);
            assert!(tokio::time::timeout(Duration::from_millis(20), &mut pull).await.is_err());
        }
    }
    nothing_kept(&node);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_waiting_callers_may_leave() {
    let made = small();
    let hits = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&hits);
    let server = Odd::serve(&[("1", &made)], move |asked, _| {
        if asked.path.contains("/blobs/") {
            counted.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(50));
        }
        None
    })
    .await;
    let node = Node::new();
    let name = format!("{}/r:1", server.address);
    let (first, second) = (node.images.clone(), node.images.clone());
    let (a, b) = (name.clone(), name.clone());
    let leaving = tokio::spawn(async move { first.pull(&a, None).await.map(drop) });
    let staying = tokio::spawn(async move { second.pull(&b, None).await.map(drop) });
    eventually("the download has begun", || hits.load(Ordering::Relaxed) > 0);
    leaving.abort();
    staying.await.unwrap().unwrap();
    assert_eq!(hits.load(Ordering::Relaxed), 2, "config and layer once each");
}
