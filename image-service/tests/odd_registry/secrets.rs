// SPDX-License-Identifier: Apache-2.0
//! Credentials: which hosts receive them, and that nothing shows them.

use crate::fixture::Node;
use crate::fixture::odd::{Answer, Odd};
use crate::parts::{basic, layer_path, small, with_tokens};
use base64::Engine as _;
use gorae_image_service::Kind;
use gorae_proto::cri::AuthConfig;
use std::sync::Arc;

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
        // So long that it is truncated.
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
