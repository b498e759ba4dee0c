// SPDX-License-Identifier: Apache-2.0
//! Manifests, indexes and configs in all forms that Go programs write and read.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod fixture;

use fixture::Node;
use fixture::image::{Blob, Flavour, Image, Packing, blob, image, layer};
use fixture::odd::{Answer, Odd};
use gorae_image_service::{Kind, Platform};
use serde_json::{Value, json};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn small(content: &[u8]) -> Image {
    image(Flavour::Oci, vec![layer(Packing::Gzip, &[("f", content)])])
}

/// The image with its manifest or config edited as JSON.
fn changed(mut made: Image, config: impl FnOnce(&mut Value), manifest: impl FnOnce(&mut Value)) -> Image {
    let edit = |bytes: &[u8], change: Box<dyn FnOnce(&mut Value) + '_>| {
        let mut value: Value = serde_json::from_slice(bytes).unwrap();
        change(&mut value);
        value
    };
    made.config = blob(edit(&made.config.bytes, Box::new(config)).to_string());
    made.id = made.config.digest.clone();
    let described = (made.config.digest.to_string(), made.config.bytes.len());
    made.manifest = blob(
        edit(
            &made.manifest.bytes,
            Box::new(|value| {
                value["config"]["digest"] = json!(described.0);
                value["config"]["size"] = json!(described.1);
                manifest(value);
            }),
        )
        .to_string(),
    );
    made
}

fn without(value: &mut Value, key: &str) {
    value.as_object_mut().unwrap().remove(key);
}

#[tokio::test(flavor = "multi_thread")]
async fn null_and_absent_fields_of_manifests_and_configs_are_empty() {
    let scratch = || image(Flavour::Oci, Vec::new());
    let same = |_: &mut Value| {};
    let forms = [
        ("null", changed(small(b"1"), same, |m| m["mediaType"] = Value::Null)),
        ("null-annotations", changed(small(b"2"), same, |m| m["annotations"] = Value::Null)),
        ("no-layers", changed(scratch(), same, |m| without(m, "layers"))),
        ("null-layers", changed(scratch(), same, |m| m["layers"] = Value::Null)),
        ("no-rootfs", changed(scratch(), |c| without(c, "rootfs"), same)),
        ("empty-rootfs", changed(scratch(), |c| c["rootfs"] = json!({}), same)),
        ("no-type", changed(small(b"3"), |c| without(&mut c["rootfs"], "type"), same)),
        ("null-config", changed(small(b"4"), |c| c["config"] = Value::Null, same)),
        (
            "null-values",
            changed(
                small(b"5"),
                |c| {
                    c["config"] = json!({ "Volumes": { "/x": null }, "ExposedPorts": { "80/tcp": null }, "Labels": { "k": null },
                "Env": null, "Entrypoint": null, "User": null });
                },
                same,
            ),
        ),
    ];
    let images: Vec<_> = forms.iter().map(|(tag, made)| (*tag, made)).collect();
    let (server, node) = (Odd::serve(&images, |_, _| None).await, Node::new());
    for (tag, made) in &forms {
        let pulled = node.images.pull(&format!("{}/r:{tag}", server.address), None).await;
        assert_eq!(pulled.map(|image| image.id.clone()).map_err(|e| e.message()), Ok(made.id.to_string()), "{tag}");
    }
    let node = node.reopen();
    let found = node.images.find(&format!("{}/r:null-values", server.address)).unwrap().expect("it was pulled");
    let inside = found.config.config().clone().unwrap();
    assert_eq!(inside.volumes().clone(), Some(vec!["/x".to_owned()]));
    assert_eq!(inside.exposed_ports().clone(), Some(vec!["80/tcp".to_owned()]));
    assert_eq!(inside.labels().clone().unwrap()["k"], "");
}

/// A descriptor in an index.
fn entry(kind: &str, of: &Blob, platform: Value) -> Value {
    json!({ "mediaType": kind, "digest": of.digest.to_string(), "size": of.bytes.len(), "platform": platform })
}

fn index(entries: &[Value]) -> Blob {
    blob(json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries }).to_string())
}

/// Serves images, and indexes by digest; the first index also has the tag `all`.
async fn with_indexes(images: &[(&str, &Image)], indexes: Vec<Blob>) -> Odd {
    Odd::serve(images, move |asked, _| {
        let (_, wanted) = asked.path.split_once("/manifests/")?;
        let found = indexes
            .iter()
            .enumerate()
            .find(|(n, index)| wanted == index.digest.to_string() || (*n == 0 && wanted == "all"));
        found.map(|(_, index)| Answer::new(200, index.bytes.clone()).header("content-type", INDEX))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_is_found_however_it_is_written_and_however_deep_it_lies() {
    let (mine, other) = (small(b"mine"), small(b"other"));
    let foreign = json!({ "os": "linux", "architecture": "s390x", "variant": null });
    let spelled = json!({ "os": "Linux", "architecture": "X86_64", "variant": "V1" });
    let (inner_foreign, inner_mine) = (
        index(&[entry(MANIFEST, &other.manifest, foreign.clone())]),
        index(&[entry(MANIFEST, &other.manifest, foreign.clone()), entry(MANIFEST, &mine.manifest, spelled.clone())]),
    );
    let outer = index(&[
        entry(INDEX, &inner_foreign, Value::Null),
        entry(MANIFEST, &other.manifest, foreign.clone()),
        entry(INDEX, &inner_mine, json!({})),
    ]);
    let server = with_indexes(&[("mine", &mine), ("other", &other)], vec![outer, inner_foreign, inner_mine]).await;
    let node =
        Node::with(|c| c.platform = Platform { os: "linux".into(), architecture: "amd64".into(), variant: "".into() });
    let pulled = node.images.pull(&format!("{}/r:all", server.address), None).await.unwrap();
    assert_eq!(pulled.id, mine.id.to_string());
    assert!(server.asked_for(&other.manifest.digest.to_string()).is_empty(), "what cannot run here is not fetched");
}

#[tokio::test(flavor = "multi_thread")]
async fn indexes_without_an_end_or_in_great_number_are_given_up() {
    let other = small(b"other");
    let foreign = json!({ "os": "linux", "architecture": "s390x" });
    let mut chain = vec![index(&[entry(MANIFEST, &other.manifest, Value::Null)])];
    for _ in 0..5 {
        chain.push(index(&[entry(INDEX, chain.last().unwrap(), Value::Null)]));
    }
    chain.reverse();
    let leaves: Vec<Blob> = (0..40)
        .map(|n| index(&[entry(MANIFEST, &other.manifest, json!({ "os": "linux", "architecture": format!("z{n}") }))]))
        .collect();
    let wide = index(&leaves.iter().map(|leaf| entry(INDEX, leaf, Value::Null)).collect::<Vec<_>>());
    let single = index(&[entry(INDEX, &index(&[entry(MANIFEST, &other.manifest, foreign.clone())]), Value::Null)]);
    let inner = index(&[entry(MANIFEST, &other.manifest, foreign)]);
    for (indexes, kind, words, most) in [
        (chain, Kind::DataLoss, "nested deeper than 3", 3),
        ([vec![wide], leaves].concat(), Kind::DataLoss, "first 16 indexes", 16),
        (vec![single, inner], Kind::NotFound, "it has linux/s390x", 2),
    ] {
        let server = with_indexes(&[("other", &other)], indexes).await;
        let error = Node::new().images.pull(&format!("{}/r:all", server.address), None).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{}", error.message());
        assert!(error.message().contains(words), "{}", error.message());
        assert_eq!(server.asked().len(), most, "{words}");
    }
}
