// SPDX-License-Identifier: Apache-2.0
//! Bytes that differ from those that were requested.

use crate::fixture::Node;
use crate::fixture::image::{blob, noise};
use crate::fixture::odd::{Answer, Odd};
use crate::parts::{BIG, basic, big, layer_path, nothing_kept, small};
use gorae_image_service::Kind;

#[tokio::test(flavor = "multi_thread")]
async fn wrong_bytes_are_refused_and_nothing_is_kept() {
    let made = big();
    let honest = made.layers[0].blob.bytes.clone();
    let mut flipped = honest.clone();
    flipped[BIG / 2] ^= 1;
    let longer = [&honest[..], b"more"].concat();
    for (what, lie) in [
        ("flipped", flipped),
        ("longer", longer),
        ("other", b"not even gzip".repeat(honest.len() / 13 + 1)[..honest.len()].to_vec()),
    ] {
        let path = layer_path(&made);
        let server =
            Odd::serve(&[("1", &made)], move |asked, _| (asked.path == path).then(|| Answer::new(200, lie.clone())))
                .await;
        let node = Node::new();
        let error = node.images.pull(&format!("{}/r:1", server.address), None).await.unwrap_err();
        assert_eq!(error.kind(), Kind::DataLoss, "{what}: {}", error.message());
        nothing_kept(&node);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_layer_fails_the_pull_and_nothing_is_kept() {
    let made = big();
    let (path, short) = (layer_path(&made), made.layers[0].blob.bytes[..BIG / 2].to_vec());
    let server =
        Odd::serve(&[("1", &made)], move |asked, _| (asked.path == path).then(|| Answer::new(200, short.clone())))
            .await;
    let node = Node::with(|c| c.attempts = 2);
    let error = node.images.pull(&format!("{}/r:1", server.address), None).await.unwrap_err();
    assert!(error.message().contains("bytes"), "{}", error.message());
    nothing_kept(&node);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_manifests_configs_and_diff_ids_are_refused() {
    let (made, other) = (small(), big());
    let config = format!("/v2/r/blobs/{}", made.config.digest);
    let manifest = format!("/v2/r/manifests/{}", made.manifest.digest);
    let (wrong_config, wrong_manifest) = (other.config.bytes.clone(), other.manifest.bytes.clone());
    let mut contradicting = made.clone();
    contradicting.layers = other.layers.clone();
    let mixed = {
        let text = String::from_utf8(made.manifest.bytes.clone()).unwrap();
        let (good, bad) = (&made.layers[0].blob, &other.layers[0].blob);
        let text = text.replace(&good.digest.to_string(), &bad.digest.to_string());
        text.replace(&format!("\"size\":{}", good.bytes.len()), &format!("\"size\":{}", bad.bytes.len()))
    };
    contradicting.manifest = blob(mixed);
    let server = Odd::serve(&[("1", &made), ("mixed", &contradicting)], move |asked, _| match &asked.path {
        path if *path == config => Some(Answer::new(200, wrong_config.clone())),
        path if *path == manifest => Some(Answer::new(200, wrong_manifest.clone())),
        path if path.ends_with("/huge") => Some(Answer::new(200, vec![b' '; 5 << 20])),
        path if path.ends_with("/junk") => Some(Answer::new(200, "<html>")),
        path if path.ends_with("/schema1") => Some(Answer::new(200, r#"{"schemaVersion":1}"#)),
        _ => None,
    })
    .await;
    let node = Node::with(|c| c.attempts = 1);
    let by_digest = format!("@{}", made.manifest.digest);
    for (reference, kind) in [
        (":1", Kind::DataLoss),
        (by_digest.as_str(), Kind::DataLoss),
        (":huge", Kind::DataLoss),
        (":junk", Kind::DataLoss),
        (":schema1", Kind::Unimplemented),
    ] {
        let error = node.images.pull(&format!("{}/r{reference}", server.address), None).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{reference}: {}", error.message());
    }
    nothing_kept(&node);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_places_that_a_manifest_names_for_a_layer_are_never_asked() {
    let mut made = small();
    let elsewhere = Odd::serve(&[("1", &made)], |_, _| None).await;
    let mut manifest: serde_json::Value = serde_json::from_slice(&made.manifest.bytes).unwrap();
    manifest["layers"][0]["urls"] = serde_json::json!([format!("http://{}{}", elsewhere.address, layer_path(&made))]);
    made.manifest = blob(manifest.to_string());
    let path = layer_path(&made);
    let server = Odd::serve(&[("1", &made)], move |asked, _| {
        if asked.header("authorization").is_none() {
            return Some(Answer::new(401, "").header("www-authenticate", "Basic realm=\"r\""));
        }
        (asked.path == path).then(|| Answer::new(404, ""))
    })
    .await;
    let node = Node::new();
    let error = node.images.pull(&format!("{}/r:1", server.address), Some(&basic())).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound, "{}", error.message());
    assert!(elsewhere.asked().is_empty());
    nothing_kept(&node);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_with_wrong_bytes_is_left_for_the_registry() {
    let made = big();
    let (path, mut lie) = (layer_path(&made), made.layers[0].blob.bytes.clone());
    lie[BIG / 2] ^= 1;
    let mirror = Odd::serve(&[("1", &made)], move |asked, _| {
        asked.path.starts_with(&path).then(|| Answer::new(200, lie.clone()))
    })
    .await;
    let server = Odd::serve(&[("1", &made)], |_, _| None).await;
    let node = Node::new();
    node.hosts("reg.test", &format!("server = \"http://{}\"\n[host.\"http://{}\"]\n", server.address, mirror.address));
    let pulled = node.images.pull("reg.test/r:1", None).await.unwrap();
    let held = node.images.hold(&pulled.id, "c").unwrap();
    assert_eq!(std::fs::read(held.layers[0].join("noise")).unwrap(), noise(BIG, 1));
    assert_eq!(server.asked_for("/blobs/").len(), 1);
}
