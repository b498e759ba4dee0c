// SPDX-License-Identifier: Apache-2.0
//! Registries behind https: which ones are trusted, what the errors say, and what is never sent.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod fixture;

use fixture::certificates::Certificates;
use fixture::debian::{PASSWORD, Registry, Tls, USER};
use fixture::image::{Flavour, Image, Packing, image, layer};
use fixture::odd::{Answer, Odd};
use fixture::{Node, eventually};
use gorae_image_service::{Error, Kind};
use gorae_proto::cri::AuthConfig;

fn small() -> Image {
    image(Flavour::Oci, vec![layer(Packing::Gzip, &[("f", b"1")])])
}

fn auth() -> AuthConfig {
    AuthConfig { username: USER.into(), password: PASSWORD.into(), ..AuthConfig::default() }
}

/// The images behind TLS, and the registries that serve them.
struct Behind {
    certificates: Certificates,
    plain: Registry,
}

impl Behind {
    async fn with_an_image() -> Self {
        let plain = Registry::open().await;
        plain.push("app", "1", &small()).await;
        Self { certificates: Certificates::make(), plain }
    }

    async fn serve(&self, certificate: &str) -> Registry {
        let tls = Tls { certificate, ..Tls::default() };
        Registry::over_tls(&self.plain, &self.certificates, tls).await
    }

    /// hosts.toml of `reg.test`: the address over https, and more keys.
    fn hosts(&self, node: &Node, address: &str, keys: &str) {
        node.hosts("reg.test", &format!("server = \"https://{address}\"\n{keys}\n"));
    }

    fn ca(&self, name: &str) -> String {
        format!("ca = {:?}", self.certificates.file(name))
    }
}

async fn pull(node: &Node, auth: Option<&AuthConfig>) -> Result<(), Error> {
    node.images.pull("reg.test/app:1", auth).await.map(drop)
}

/// The text of a refusal; it must tell kubelet that no registry could be reached.
async fn refusal(node: &Node, auth: Option<&AuthConfig>) -> String {
    let error = pull(node, auth).await.unwrap_err();
    let text = error.message();
    assert_eq!(error.kind(), Kind::RegistryUnavailable, "{text}");
    assert!(text.starts_with("RegistryUnavailable: "), "{text}");
    assert!(node.images.list().is_empty() && node.layers().is_empty());
    text
}

/// Waits until a registry has logged a handshake that the client aborted, and checks that nothing followed it.
fn only_handshakes(registry: &Registry) {
    eventually("the handshake has failed", || registry.log().contains("remote error: tls"));
    let log = registry.log();
    assert!(!log.contains("/v2/"), "a request was sent: {log}");
    assert!(!log.contains("HTTP request to an HTTPS server"), "it was tried in clear text: {log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_of_hosts_toml_is_trusted_and_no_other() {
    let (behind, node) = (Behind::with_an_image().await, Node::new());
    let registry = behind.serve("good").await;
    for keys in [String::new(), behind.ca("other-ca")] {
        behind.hosts(&node, &registry.address, &keys);
        let text = refusal(&node, None).await;
        assert!(text.contains(&registry.address), "{text}");
        assert!(text.contains("authority that this node does not trust") && text.contains("hosts.toml"), "{text}");
        only_handshakes(&registry);
    }
    let refused = || registry.log().matches("remote error: tls").count();
    eventually("both handshakes have failed", || refused() >= 2);
    behind.hosts(&node, &registry.address, &behind.ca("ca"));
    pull(&node, None).await.unwrap();
    assert_eq!(refused(), 2, "one try each: asking again cannot help");
    let port = registry.address.rsplit_once(':').unwrap().1;
    behind.hosts(&node, &format!("localhost:{port}"), &behind.ca("ca"));
    pull(&node, None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_and_one_for_another_name_are_refused() {
    let (behind, node) = (Behind::with_an_image().await, Node::new());
    for (certificate, words) in [("expired", "certificate expired"), ("elsewhere", "registry.example")] {
        let registry = behind.serve(certificate).await;
        behind.hosts(&node, &registry.address, &behind.ca("ca"));
        let text = refusal(&node, None).await;
        assert!(text.contains(words), "{text}");
        only_handshakes(&registry);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_not_to_be_verified_may_have_any_certificate() {
    let (behind, node) = (Behind::with_an_image().await, Node::new());
    for certificate in ["expired", "elsewhere"] {
        let registry = behind.serve(certificate).await;
        behind.hosts(&node, &registry.address, "skip_verify = true");
        pull(&node, None).await.unwrap();
        behind.hosts(&node, &registry.address, "skip_verify = false");
        refusal_of_what_is_here(&node).await;
    }
}

/// The image is present, but every pull still contacts the registry.
async fn refusal_of_what_is_here(node: &Node) {
    let error = pull(node, None).await.unwrap_err();
    assert_eq!(error.kind(), Kind::RegistryUnavailable, "{}", error.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn user_and_password_are_for_a_registry_that_has_proved_who_it_is() {
    let (behind, node) = (Behind::with_an_image().await, Node::new());
    let tls = Tls { certificate: "good", protected: true, clients: false };
    let registry = Registry::over_tls(&behind.plain, &behind.certificates, tls).await;
    behind.hosts(&node, &registry.address, &behind.ca("other-ca"));
    let text = refusal(&node, Some(&auth())).await;
    assert!(!text.contains(PASSWORD) && !text.contains(USER), "{text}");
    only_handshakes(&registry);
    behind.hosts(&node, &registry.address, &behind.ca("ca"));
    for wrong in [None, Some(AuthConfig { password: "not it".into(), ..auth() })] {
        assert_eq!(pull(&node, wrong.as_ref()).await.unwrap_err().kind(), Kind::Unauthenticated);
    }
    pull(&node, Some(&auth())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_asks_for_a_certificate_gets_the_one_of_hosts_toml() {
    let (behind, node) = (Behind::with_an_image().await, Node::new());
    let tls = Tls { certificate: "good", protected: false, clients: true };
    let registry = Registry::over_tls(&behind.plain, &behind.certificates, tls).await;
    behind.hosts(&node, &registry.address, &behind.ca("ca"));
    pull(&node, None).await.unwrap_err();
    let client = (behind.certificates.file("client"), behind.certificates.key("client"));
    behind.hosts(
        &node,
        &registry.address,
        &format!("{}\nclient = [[{:?}, {:?}]]", behind.ca("ca"), client.0, client.1),
    );
    pull(&node, None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn authorities_that_cannot_be_read_stop_the_pull_by_name() {
    let (behind, node) = (Behind::with_an_image().await, Node::new());
    let registry = behind.serve("good").await;
    let empty = node.dir.path().join("empty.pem");
    std::fs::write(&empty, "no certificate\n").unwrap();
    for (file, words) in
        [("absent.pem", "No such file"), (empty.to_str().unwrap(), "does not contain a PEM certificate")]
    {
        behind.hosts(&node, &registry.address, &format!("ca = {file:?}"));
        let error = pull(&node, None).await.unwrap_err();
        assert_eq!(error.kind(), Kind::FailedPrecondition);
        let text = error.message();
        assert!(text.contains(file) && text.contains(words), "{text}");
    }
    behind.hosts(&node, &registry.address, "skip_verify = \"yes\"");
    let text = pull(&node, None).await.unwrap_err().message();
    assert!(text.contains("hosts.toml line 2"), "{text}");
    assert!(!registry.log().contains("/v2/"), "{}", registry.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_that_is_not_trusted_is_passed_over_for_the_registry() {
    let (behind, node) = (Behind::with_an_image().await, Node::new());
    let (mirror, registry) = (behind.serve("expired").await, behind.serve("good").await);
    let text = format!(
        "{}\n[host.\"https://{}\"]\nca = {:?}\n",
        behind.ca("ca"),
        mirror.address,
        behind.certificates.file("ca")
    );
    behind.hosts(&node, &registry.address, &text);
    pull(&node, None).await.unwrap();
    only_handshakes(&mirror);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_tls_is_told_nothing_in_clear_text() {
    let (behind, node) = (Behind::with_an_image().await, Node::new());
    let requests = || behind.plain.log().matches("GET /v2/app/").count();
    behind.hosts(&node, &behind.plain.address, &behind.ca("ca"));
    let text = refusal(&node, Some(&auth())).await;
    assert!(text.contains("does not speak TLS"), "{text}");
    // Shows that the log would contain it: this is how clear text appears there.
    node.hosts("reg.test", &format!("server = \"http://{}\"\n", behind.plain.address));
    pull(&node, None).await.unwrap();
    eventually("the requests are in the log", || requests() >= 3);
    assert_eq!(requests(), 3, "a manifest, a config and a layer");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_error_for_a_tls_server_that_was_contacted_over_http_says_what_to_do() {
    let (behind, node) = (Behind::with_an_image().await, Node::with(|c| c.attempts = 1));
    // Loopback hosts are contacted over http; this one responds as Go's server does.
    let registry = behind.serve("good").await;
    let name = format!("{}/app:1", registry.address);
    let error = node.images.pull(&name, None).await.unwrap_err();
    let (text, server) = (error.message(), format!("server = \"https://{}\"", registry.address));
    assert!(text.contains("responded with 400") && text.contains("speaks TLS but was contacted over http"), "{text}");
    assert!(text.ends_with(&format!("in the hosts.toml of {}: {server}", registry.address)), "{text}");
    node.hosts(&registry.address, &format!("{server}\n{}\n", behind.ca("ca")));
    node.images.pull(&name, None).await.unwrap();

    // This one responds with an alert, and the next one not at all.
    let alert = Odd::serve_tls(behind.certificates.acceptor("good"), &[], |_, _| None).await;
    let closes = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closing = closes.local_addr().unwrap().to_string();
    // It reads first: a connection that ends before the request was written is not a response to it.
    let ignore = |mut stream: std::net::TcpStream| drop(std::io::Read::read(&mut stream, &mut [0; 4096]));
    std::thread::spawn(move || closes.incoming().take(1).flatten().for_each(ignore));
    for address in [alert.address, closing] {
        let text = node.images.pull(&format!("{address}/r:1"), None).await.unwrap_err().message();
        assert!(text.starts_with("RegistryUnavailable: ") && text.contains("if it speaks TLS"), "{text}");
        assert!(text.ends_with(&format!("server = \"https://{address}\"")), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_words_of_a_tls_server_make_a_refusal_one_of_http() {
    let words = "<center>The plain HTTP request was sent to HTTPS port</center>";
    let (node, own) = (Node::with(|c| c.attempts = 1), "server = \"https://");
    for (status, said, hint) in [(400, words, Some(own)), (400, "bad request", None), (403, words, None)] {
        let server = Odd::serve(&[], move |_, _| Some(Answer::new(status, said))).await;
        let text = node.images.pull(&format!("{}/r:1", server.address), None).await.unwrap_err().message();
        assert_eq!(text.contains("https"), hint.is_some(), "{status} {said}: {text}");
        // A mirror has a different line in the file.
        node.hosts("reg.test", &format!("server = \"http://{0}\"\n[host.\"http://{0}\"]\n", server.address));
        let text = node.images.pull("reg.test/r:1", None).await.unwrap_err().message();
        let key = format!("hosts.toml of reg.test: {}{}\"", hint.unwrap_or(""), server.address);
        assert_eq!(text.contains(&key), hint.is_some(), "{status} {said}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_leads_from_https_to_an_unprotected_place() {
    let made = small();
    let (behind, node) = (Behind::with_an_image().await, Node::new());
    let clear = Odd::serve(&[("1", &made)], |_, _| Some(Answer::new(200, r#"{"token":"t"}"#))).await;
    let (redirect, realm) = (format!("http://{}/blob", clear.address), format!("http://{}/token", clear.address));
    let server = Odd::serve_tls(behind.certificates.acceptor("good"), &[("1", &made)], move |asked, _| {
        if asked.path.contains("/tokens/") {
            return Some(Answer::new(401, "").header("www-authenticate", format!("Bearer realm={realm:?}")));
        }
        asked.path.contains("/blobs/").then(|| Answer::new(307, "").header("location", &redirect))
    })
    .await;
    behind.hosts(&node, &server.address, &behind.ca("ca"));
    for (name, words) in
        [("reg.test/r:1", "from https to an unencrypted address"), ("reg.test/tokens:1", "unencrypted")]
    {
        let text = node.images.pull(name, Some(&auth())).await.unwrap_err().message();
        assert!(text.contains(words), "{name}: {text}");
    }
    assert!(!server.asked().is_empty());
    assert!(clear.asked().is_empty(), "{:?}", clear.asked());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_leads_to_a_host_that_must_prove_itself_too() {
    let made = small();
    let (behind, node) = (Behind::with_an_image().await, Node::new());
    let others = Certificates::make();
    let elsewhere = Odd::serve_tls(others.acceptor("good"), &[("1", &made)], |_, _| None).await;
    let target = elsewhere.address.clone();
    let server = Odd::serve_tls(behind.certificates.acceptor("good"), &[("1", &made)], move |asked, _| {
        let to = format!("https://{target}{}?sig=marker-url", asked.path);
        asked.path.contains("/blobs/").then(|| Answer::new(307, "").header("location", to))
    })
    .await;
    behind.hosts(&node, &server.address, &behind.ca("ca"));
    let text = node.images.pull("reg.test/r:1", Some(&auth())).await.unwrap_err().message();
    assert!(text.contains(&elsewhere.address) && text.contains("does not trust"), "{text}");
    assert!(!text.contains("marker"), "{text}");
    assert!(elsewhere.asked().is_empty());
}
