// SPDX-License-Identifier: Apache-2.0
//! Pulls from registries that cut, stall, lie, redirect and ask for tokens.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod fixture;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use fixture::image::{Flavour, Image, Packing, image, layer, noise};
use fixture::odd::{Answer, Odd};
use fixture::{Node, entries, eventually};
use gorae_image_service::Kind;
use gorae_proto::cri::AuthConfig;

const BIG: usize = 3 << 20;

fn big() -> Image {
    image(Flavour::Oci, vec![layer(Packing::Gzip, &[("noise", &noise(BIG, 1))])])
}

fn small() -> Image {
    image(Flavour::Oci, vec![layer(Packing::Gzip, &[("f", b"1")])])
}

fn layer_path(image: &Image) -> String {
    format!("/v2/r/blobs/{}", image.layers[0].blob.digest)
}

fn nothing_kept(node: &Node) {
    node.settle();
    assert!(node.images.list().is_empty());
    assert!(node.layers().is_empty());
    for directory in ["images", "names"] {
        assert!(entries(&node.root().join(directory)).is_empty(), "{directory}");
    }
    assert_eq!(node.images.usage().used_bytes, 0);
}

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

/// A hundred bytes each 20 ms: never silent for long.
fn dripping(bytes: &[u8]) -> Answer {
    Answer::new(200, bytes).in_pieces(100, Duration::from_millis(20))
}

/// Changes a node so that each 16 KiB have half a second to come.
fn hasty(config: &mut gorae_image_service::Config) {
    config.stall_timeout = Duration::from_millis(500);
    config.attempts = 3;
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
    contradicting.manifest = fixture::image::blob(mixed);
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

fn basic() -> AuthConfig {
    AuthConfig { username: "u".into(), password: "marker-password".into(), ..AuthConfig::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_to_another_host_takes_no_credentials_along() {
    let made = small();
    let blobs = Odd::serve(&[("1", &made)], |_, _| None).await;
    let (path, target) = (layer_path(&made), format!("http://{}{}?token=marker-url", blobs.address, layer_path(&made)));
    let server = Odd::serve(&[("1", &made)], move |asked, _| {
        if asked.header("authorization").is_none() {
            return Some(Answer::new(401, "").header("www-authenticate", "Basic realm=\"r\""));
        }
        (asked.path == path).then(|| Answer::new(307, "").header("location", &target))
    })
    .await;
    let node = Node::new();
    node.images.pull(&format!("{}/r:1", server.address), Some(&basic())).await.unwrap();
    assert!(server.asked_for("/blobs/").iter().all(|asked| asked.header("authorization").is_some()));
    let elsewhere = blobs.asked();
    assert_eq!(elsewhere.len(), 1);
    assert_eq!(elsewhere[0].header("authorization"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_of_hosts_toml_follow_neither_a_redirect_nor_a_token_server() {
    let made = small();
    let elsewhere = Odd::serve(&[("1", &made)], |asked, _| {
        asked.path.starts_with("/token").then(|| Answer::new(200, r#"{"token":"t0ken"}"#))
    })
    .await;
    let (realm, target) = (format!("http://{}/token", elsewhere.address), elsewhere.address.clone());
    let server = Odd::serve(&[("1", &made)], move |asked, _| {
        if asked.header("authorization").is_none() {
            return Some(Answer::new(401, "").header("www-authenticate", format!("Bearer realm={realm:?}")));
        }
        let location = format!("http://{target}{}", asked.path);
        asked.path.contains("/blobs/").then(|| Answer::new(307, "").header("location", location))
    })
    .await;
    let node = Node::new();
    node.hosts("reg.test", &format!("server = \"http://{}\"\n[header]\nx-key = \"marker-key\"\n", server.address));
    node.images.pull("reg.test/r:1", None).await.unwrap();
    assert!(server.asked().iter().all(|asked| asked.header("x-key") == Some("marker-key")));
    let asked = elsewhere.asked();
    assert_eq!(asked.len(), 3, "a token, a config and a layer");
    assert!(asked.iter().all(|asked| asked.header("x-key").is_none() && asked.header("authorization").is_none()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_server_that_redirects_is_not_followed_with_the_password() {
    let made = small();
    let elsewhere = Odd::serve(&[], |_, _| Some(Answer::new(200, r#"{"token":"t0ken"}"#))).await;
    let target = format!("http://{}/token", elsewhere.address);
    let own = Arc::new(std::sync::OnceLock::<String>::new());
    let address = Arc::clone(&own);
    let server = Odd::serve(&[("1", &made)], move |asked, _| {
        if asked.path.starts_with("/token") {
            return Some(Answer::new(307, "").header("location", &target));
        }
        let realm = format!("Bearer realm=\"http://{}/token\"", address.get().unwrap());
        Some(Answer::new(401, "").header("www-authenticate", realm))
    })
    .await;
    own.set(server.address.clone()).unwrap();
    let node = Node::with(|c| c.attempts = 1);
    for auth in [basic(), AuthConfig { identity_token: "marker-refresh".into(), ..AuthConfig::default() }] {
        let error = node.images.pull(&format!("{}/r:1", server.address), Some(&auth)).await.unwrap_err();
        assert!(!error.message().contains("marker"), "{}", error.message());
    }
    assert_eq!(elsewhere.asked().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_places_that_a_manifest_names_for_a_layer_are_never_asked() {
    let mut made = small();
    let elsewhere = Odd::serve(&[("1", &made)], |_, _| None).await;
    let mut manifest: serde_json::Value = serde_json::from_slice(&made.manifest.bytes).unwrap();
    manifest["layers"][0]["urls"] = serde_json::json!([format!("http://{}{}", elsewhere.address, layer_path(&made))]);
    made.manifest = fixture::image::blob(manifest.to_string());
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
async fn mirrors_never_see_credentials_and_are_told_the_registry() {
    let made = small();
    let mirror =
        Odd::serve(&[], |_, _| Some(Answer::new(401, "").header("www-authenticate", "Basic realm=\"r\""))).await;
    let server = Odd::serve(&[("1", &made)], |asked, _| {
        asked
            .header("authorization")
            .is_none()
            .then(|| Answer::new(401, "").header("www-authenticate", "Basic realm=\"r\""))
    })
    .await;
    let node = Node::new();
    let text = format!(
        "server = \"http://{}\"\n[host.\"http://{}\"]\n[host.\"http://{}\".header]\nx-mirror-key = \"k\"\n",
        server.address, mirror.address, mirror.address
    );
    node.hosts("reg.test", &text);
    node.images.pull("reg.test/r:1", Some(&basic())).await.unwrap();
    let asked = mirror.asked();
    assert!(!asked.is_empty());
    for asked in asked {
        assert_eq!(asked.header("authorization"), None);
        assert_eq!(asked.header("x-mirror-key"), Some("k"));
        assert!(asked.path.ends_with("?ns=reg.test"), "{}", asked.path);
    }
    assert!(server.asked().iter().all(|asked| asked.header("x-mirror-key").is_none()));
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

/// A registry with a token server at `/token`, as hubs have it.
async fn with_tokens(made: &Image) -> Odd {
    let own = Arc::new(std::sync::OnceLock::<String>::new());
    let address = Arc::clone(&own);
    let server = Odd::serve(&[("1", made)], move |asked, _| {
        if asked.path.starts_with("/token") {
            let password = base64::engine::general_purpose::STANDARD.encode("u:marker-password");
            let good = asked.header("authorization") == Some(&format!("Basic {password}"))
                || asked.body.contains("refresh_token=marker-refresh&")
                || asked.body.ends_with("refresh_token=marker-refresh");
            return Some(match good {
                true => Answer::new(200, r#"{"token":"t0ken"}"#),
                false => Answer::new(401, r#"{"details":"marker-password is wrong"}"#),
            });
        }
        if asked.header("authorization") == Some("Bearer t0ken") {
            return None;
        }
        let realm = format!("http://{}/token", address.get().unwrap());
        let challenge = format!("Bearer realm=\"{realm}\",service=\"reg\",scope=\"repository:r:pull\"");
        Some(Answer::new(401, "").header("www-authenticate", challenge))
    })
    .await;
    own.set(server.address.clone()).unwrap();
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_fetched_once_per_pull_with_whatever_was_given() {
    let made = small();
    for auth in [
        basic(),
        AuthConfig { identity_token: "marker-refresh".into(), ..AuthConfig::default() },
        AuthConfig { registry_token: "t0ken".into(), ..AuthConfig::default() },
    ] {
        let (server, node) = (with_tokens(&made).await, Node::new());
        node.images.pull(&format!("{}/r:1", server.address), Some(&auth)).await.unwrap();
        let asked = server.asked_for("/token");
        assert_eq!(asked.len(), usize::from(auth.registry_token.is_empty()));
        if auth.identity_token.is_empty() && auth.registry_token.is_empty() {
            assert_eq!(asked[0].path, "/token?service=reg&scope=repository%3Ar%3Apull");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_never_used_for_other_credentials() {
    let made = small();
    let (server, node) = (with_tokens(&made).await, Node::new());
    let name = format!("{}/r:1", server.address);
    node.images.pull(&name, Some(&basic())).await.unwrap();
    let wrong = AuthConfig { password: "other".into(), ..basic() };
    for auth in [Some(&wrong), None] {
        let error = node.images.pull(&name, auth).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unauthenticated);
        assert!(!error.message().contains("marker"), "{}", error.message());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_show_in_no_error() {
    let made = small();
    let redirecting = Odd::serve(&[("1", &made)], |asked, _| {
        asked
            .path
            .contains("/blobs/")
            .then(|| Answer::new(307, "").header("location", "http://127.0.0.1:1/x?sig=marker-url"))
    })
    .await;
    let node = Node::with(|c| c.attempts = 2);
    let error = node.images.pull(&format!("{}/r:1", redirecting.address), Some(&basic())).await.unwrap_err();
    assert!(error.message().starts_with("RegistryUnavailable: "), "{}", error.message());
    assert!(!error.message().contains("marker") && !format!("{error:?}").contains("marker"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_registry_says_back_of_the_credentials_is_not_told() {
    let encoded = base64::engine::general_purpose::STANDARD.encode("u:marker-password");
    let token = || "marker-token".to_owned();
    let given = [
        (basic(), "marker-password"),
        (basic(), encoded.as_str()),
        (AuthConfig { auth: encoded.clone(), ..AuthConfig::default() }, "marker-password"),
        (AuthConfig { registry_token: token(), ..AuthConfig::default() }, "marker-token"),
        (AuthConfig { identity_token: token(), ..AuthConfig::default() }, "marker-token"),
    ];
    for (auth, secret) in given {
        // So long that it is cut.
        let said = format!(r#"{{"errors":[{{"code":"DENIED","message":"{} {secret} here"}}]}}"#, "denied ".repeat(22));
        let server = Odd::serve(&[], move |_, _| Some(Answer::new(403, said.clone()))).await;
        let error = Node::new().images.pull(&format!("{}/r:1", server.address), Some(&auth)).await.unwrap_err();
        assert_eq!(error.kind(), Kind::PermissionDenied);
        assert!(!error.message().contains("denied ") && !error.message().contains(secret), "{}", error.message());
        let other = AuthConfig { username: "u".into(), password: "another".into(), ..AuthConfig::default() };
        let error = Node::new().images.pull(&format!("{}/r:1", server.address), Some(&other)).await.unwrap_err();
        assert!(error.message().contains("DENIED"), "other words are: {}", error.message());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pulls_at_the_same_time_share_every_download() {
    let shared = layer(Packing::Gzip, &[("noise", &noise(BIG, 1))]);
    let one = image(Flavour::Oci, vec![shared.clone(), layer(Packing::Gzip, &[("own", b"1")])]);
    let two = image(Flavour::Oci, vec![shared.clone(), layer(Packing::Gzip, &[("own", b"2")])]);
    let server = Odd::serve(&[("1", &one), ("2", &two)], |asked, _| {
        // Slow enough that all pulls meet.
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
