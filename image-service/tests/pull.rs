// SPDX-License-Identifier: Apache-2.0
//! Pulls from Debian's docker-registry: names, media types, compression, credentials, mirrors, sharing.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod fixture;

use fixture::debian::{PASSWORD, Registry, USER};
use fixture::image::{Flavour, Packing, image, image_with, index, layer, noise};
use fixture::{Node, entries};
use gorae_image_service::{Kind, NameRemoval, Platform, Stage};
use gorae_proto::cri::AuthConfig;
use serde_json::json;
use std::time::Duration;

fn basic(password: &str) -> AuthConfig {
    AuthConfig { username: USER.into(), password: password.into(), ..AuthConfig::default() }
}

fn host_platform() -> String {
    format!("linux/{}", Platform::host().architecture)
}

#[tokio::test(flavor = "multi_thread")]
async fn all_packings_and_both_families_of_media_types_are_pulled() {
    let (registry, node) = (Registry::open().await, Node::new());
    for (n, (flavour, packing)) in [
        (Flavour::Oci, Packing::Gzip),
        (Flavour::Oci, Packing::Zstd),
        (Flavour::Oci, Packing::Plain),
        (Flavour::Docker, Packing::Gzip),
    ]
    .into_iter()
    .enumerate()
    {
        let file = format!("file{n}");
        let made = image(flavour, vec![layer(packing, &[(&file, b"content")]), layer(packing, &[("top", b"2")])]);
        let name = registry.push(&format!("app{n}"), "v1", &made).await;
        let pulled = node.images.pull(&name, None).await.unwrap();
        assert_eq!(pulled.id, made.id.to_string());
        assert_eq!(pulled.repo_tags, std::slice::from_ref(&name));
        assert_eq!(pulled.repo_digests, [format!("{}/app{n}@{}", registry.address, made.manifest.digest)]);
        assert!(pulled.size > 0);
        let held = node.images.hold(&pulled.id, "c").unwrap();
        assert_eq!(held.layers.len(), 2);
        assert_eq!(std::fs::read(held.layers[1].join(&file)).unwrap(), b"content");
        assert_eq!(std::fs::read(held.layers[0].join("top")).unwrap(), b"2", "the top layer is first");
    }
    node.settle();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_gives_this_platforms_image_under_the_indexs_digest() {
    let (registry, node) = (Registry::open().await, Node::new());
    let mine = image(Flavour::Oci, vec![layer(Packing::Gzip, &[("mine", b"1")])]);
    let other = image(Flavour::Oci, vec![layer(Packing::Gzip, &[("other", b"1")])]);
    for made in [&mine, &other] {
        registry.push("multi", "single", made).await;
    }
    let (list, media_type) = index(Flavour::Oci, &[(&other, "linux/s390x"), (&mine, &host_platform())]);
    registry.push_manifest("multi", "all", &list, media_type).await;
    let pulled = node.images.pull(&format!("{}/multi:all", registry.address), None).await.unwrap();
    assert_eq!(pulled.id, mine.id.to_string());
    assert_eq!(pulled.repo_digests, [format!("{}/multi@{}", registry.address, list.digest)]);

    let (foreign, media_type) = index(Flavour::Docker, &[(&other, "linux/s390x")]);
    registry.push_manifest("multi", "foreign", &foreign, media_type).await;
    let error = node.images.pull(&format!("{}/multi:foreign", registry.address), None).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert!(error.message().contains("linux/s390x"), "{}", error.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_reference_gives_no_tag_and_later_names_join_the_same_image() {
    let (registry, node) = (Registry::open().await, Node::new());
    let made = image(Flavour::Oci, vec![layer(Packing::Gzip, &[("f", b"1")])]);
    let one = registry.push("a/one", "1", &made).await;
    let two = registry.push("b/two", "2", &made).await;
    let by_digest = format!("{}/a/one@{}", registry.address, made.manifest.digest);
    let pulled = node.images.pull(&by_digest, None).await.unwrap();
    assert!(pulled.repo_tags.is_empty());
    assert_eq!(pulled.repo_digests, std::slice::from_ref(&by_digest));
    node.images.pull(&one, None).await.unwrap();
    let pulled = node.images.pull(&two, None).await.unwrap();
    assert_eq!(pulled.repo_tags, [one.clone(), two.clone()]);
    assert_eq!(pulled.repo_digests.len(), 2);
    assert_eq!(node.images.list().len(), 1);
    for any in [&one, &two, &by_digest, &pulled.id, &pulled.id[7..].to_owned(), &pulled.id[7..19].to_owned()] {
        assert_eq!(node.images.find(any).unwrap().expect(any).repo_tags, pulled.repo_tags, "{any}");
    }
    let tag_and_digest = format!("{}/a/one:ignored@{}", registry.address, made.manifest.digest);
    assert_eq!(node.images.pull(&tag_and_digest, None).await.unwrap().repo_tags, pulled.repo_tags);
    node.images.remove(&two).unwrap();
    assert!(node.images.list().is_empty());
    assert!(entries(&node.root().join("names")).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_name_of_several_is_taken_off_with_its_repositorys_digest_and_the_last_one_is_not() {
    let (registry, node) = (Registry::open().await, Node::new());
    let made = image(Flavour::Oci, vec![layer(Packing::Gzip, &[("f", b"1")])]);
    let mut names = Vec::new();
    for (repository, tag) in [("a/one", "1"), ("a/one", "2"), ("b/two", "2")] {
        names.push(registry.push(repository, tag, &made).await);
        node.images.pull(names.last().unwrap(), None).await.unwrap();
    }
    let [one, again, two] = &names[..] else { unreachable!("three were pushed") };
    let remove = |name: &str| node.images.remove_name(name).unwrap();
    let left = |name: &str| {
        let image = node.images.find(name).unwrap().unwrap();
        (image.repo_tags.clone(), image.repo_digests.len())
    };
    assert_eq!(remove(one), NameRemoval::Removed);
    assert_eq!(left(again), (vec![again.clone(), two.clone()], 2));
    assert_eq!(remove(again), NameRemoval::Removed);
    assert_eq!(left(two), (vec![two.clone()], 1));
    for other in [one, again, &made.id.to_string(), "NOT A NAME", ""] {
        assert_eq!(remove(other), NameRemoval::NoSuchName, "{other}");
    }
    assert_eq!(remove(two), NameRemoval::LastName);
    assert_eq!(left(two), (vec![two.clone()], 1));
    let node = node.reopen();
    assert_eq!(node.images.find(two).unwrap().unwrap().repo_tags, std::slice::from_ref(two));
    assert!(node.images.find(one).unwrap().is_none());
    assert_eq!(entries(&node.root().join("names")).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moved_tag_leaves_the_old_image_with_its_digest_only() {
    let (registry, node) = (Registry::open().await, Node::new());
    let old = image(Flavour::Oci, vec![layer(Packing::Gzip, &[("f", b"old")])]);
    let new = image(Flavour::Oci, vec![layer(Packing::Gzip, &[("f", b"new")])]);
    let name = registry.push("app", "latest", &old).await;
    node.images.pull(&name, None).await.unwrap();
    registry.push("app", "latest", &new).await;
    let pulled = node.images.pull(&name, None).await.unwrap();
    assert_eq!(pulled.id, new.id.to_string());
    let node = node.reopen();
    let left = node.images.find(&old.id.to_string()).unwrap().unwrap();
    assert!(left.repo_tags.is_empty());
    assert_eq!(left.repo_digests.len(), 1);
    assert_eq!(node.images.find(&name).unwrap().unwrap().id, new.id.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn user_and_password_are_needed_where_the_registry_says_so() {
    let (registry, node) = (Registry::protected().await, Node::new());
    let made = image(Flavour::Oci, vec![layer(Packing::Gzip, &[("f", b"1")])]);
    let name = registry.push("private", "1", &made).await;
    let kind = async |auth: Option<AuthConfig>| {
        node.images.pull(&name, auth.as_ref()).await.map_err(|e| (e.kind(), e.message()))
    };
    let (none, text) = kind(None).await.unwrap_err();
    assert_eq!(none, Kind::Unauthenticated);
    assert!(text.contains("needs credentials"), "{text}");
    let (wrong, text) = kind(Some(basic("not it"))).await.unwrap_err();
    assert_eq!(wrong, Kind::Unauthenticated);
    assert!(!text.contains("not it"), "{text}");
    let elsewhere = AuthConfig { server_address: "other.io".into(), ..basic(PASSWORD) };
    assert_eq!(kind(Some(elsewhere)).await.unwrap_err().0, Kind::Unauthenticated);
    kind(Some(basic(PASSWORD))).await.unwrap();
    let packed = AuthConfig {
        auth: "dGVzdGVyOnMzY3JldA==".into(),
        server_address: registry.address.clone(),
        ..Default::default()
    };
    kind(Some(packed)).await.unwrap();
    // A local image does not prove that this client may read it.
    assert_eq!(kind(None).await.unwrap_err().0, Kind::Unauthenticated);
    assert_eq!(kind(Some(basic("not it"))).await.unwrap_err().0, Kind::Unauthenticated);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_serves_and_the_asked_name_is_kept() {
    let (registry, node) = (Registry::open().await, Node::new());
    let made = image(Flavour::Oci, vec![layer(Packing::Gzip, &[("f", b"1")])]);
    registry.push("e2e/app", "1.2", &made).await;
    node.hosts(
        "registry.example.test",
        &format!("[host.\"http://{}\"]\ncapabilities = [\"pull\", \"resolve\"]\n", registry.address),
    );
    let pulled = node.images.pull("registry.example.test/e2e/app:1.2", None).await.unwrap();
    assert_eq!(pulled.repo_tags, ["registry.example.test/e2e/app:1.2"]);

    // The file is read on each pull: a broken one fails the next pull, with its name and line.
    node.hosts("registry.example.test", "server = \"http://127.0.0.1:1\"\nskip_verify = 1\n");
    let error = node.images.pull("registry.example.test/e2e/app:1.2", None).await.unwrap_err();
    assert_eq!(error.kind(), Kind::FailedPrecondition);
    assert!(error.message().contains("hosts.toml line 2"), "{}", error.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_mirror_costs_one_attempt_and_the_next_host_serves() {
    let (registry, node) = (Registry::open().await, Node::new());
    let made = image(Flavour::Oci, vec![layer(Packing::Gzip, &[("f", b"1")])]);
    registry.push("app", "1", &made).await;
    let text = format!("server = \"http://{}\"\n[host.\"http://127.0.0.1:1\"]\n", registry.address);
    node.hosts("reg.test", &text);
    assert_eq!(node.images.pull("reg.test/app:1", None).await.unwrap().repo_tags, ["reg.test/app:1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_exist_and_what_does_not_answer_are_told_apart() {
    let (registry, node) = (Registry::open().await, Node::with(|c| c.attempts = 2));
    let absent = node.images.pull(&format!("{}/no/such:1", registry.address), None).await.unwrap_err();
    assert_eq!(absent.kind(), Kind::NotFound);
    assert!(absent.message().contains("no/such"), "{}", absent.message());
    let dead = node.images.pull("127.0.0.1:1/app:1", None).await.unwrap_err();
    assert_eq!(dead.kind(), Kind::RegistryUnavailable);
    assert!(dead.message().starts_with("RegistryUnavailable: "), "{}", dead.message());
    assert!(dead.message().contains("127.0.0.1:1"), "{}", dead.message());
    let bad = node.images.pull("Not A Name", None).await.unwrap_err();
    assert_eq!(bad.kind(), Kind::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_repeated_in_an_image_are_given_once_and_no_layers_are_one_empty() {
    let (registry, node) = (Registry::open().await, Node::new());
    let (a, b) = (layer(Packing::Gzip, &[("f", b"a")]), layer(Packing::Gzip, &[("f", b"b")]));
    let made = image(Flavour::Oci, vec![a.clone(), b.clone(), a.clone()]);
    let name = registry.push("twice", "1", &made).await;
    let pulled = node.images.pull(&name, None).await.unwrap();
    let held = node.images.hold(&pulled.id, "c").unwrap();
    let tops: Vec<_> = held.layers.iter().map(|l| std::fs::read(l.join("f")).unwrap()).collect();
    assert_eq!(tops, [b"a", b"b"]);
    let scratch = image_with(Flavour::Oci, Vec::new(), json!({ "Entrypoint": ["/x"] }));
    let name = registry.push("scratch", "1", &scratch).await;
    let pulled = node.images.pull(&name, None).await.unwrap();
    assert!(pulled.size > 0);
    let held = node.images.hold(&pulled.id, "d").unwrap();
    assert_eq!((held.layers.len(), entries(&held.layers[0]).len()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_shows_every_layer_to_its_end() {
    let (registry, node) = (Registry::open().await, Node::new());
    let layers = (0..4).map(|n| layer(Packing::Gzip, &[("f", &noise(300_000, n))])).collect();
    let made = image(Flavour::Oci, layers);
    let name = registry.push("app", "1", &made).await;
    let mut watch = node.images.progress(&name).unwrap();
    let watching = tokio::spawn(async move {
        let mut seen = Vec::new();
        while let Some(progress) = watch.next().await {
            seen.push(progress);
        }
        seen
    });
    node.images.pull(&name, None).await.unwrap();
    let seen = tokio::time::timeout(Duration::from_secs(5), watching).await.unwrap().unwrap();
    let last = seen.last().unwrap();
    assert_eq!(last.stage, Stage::Done);
    assert_eq!(last.layers.len(), 4);
    assert!(last.layers.iter().all(|l| l.done && l.downloaded == l.total && l.unpacked > 300_000), "{last:?}");
}
