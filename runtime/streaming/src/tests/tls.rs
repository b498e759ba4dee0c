// SPDX-License-Identifier: Apache-2.0
//! The server over TLS.

use super::backend::Local;
use super::spdy_client::Client;
use super::{eventually, exec, left_nothing, parts, server_with, shell, soon, websocket_client};
use crate::spdy::frames;
use crate::{CertificateFiles, Config, Server};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const SUCCESS: &str = r#"{"status":"Success"}"#;

/// A directory with a certificate and its key.
struct Files {
    directory: TempDir,
}

impl Files {
    fn new() -> (Self, CertificateDer<'static>) {
        let files = Self { directory: tempfile::tempdir().unwrap() };
        let first = files.renew();
        (files, first)
    }

    fn paths(&self) -> CertificateFiles {
        let path = |name| self.directory.path().join(name);
        CertificateFiles { certificate: path("tls.crt"), key: path("tls.key") }
    }

    /// Puts a new certificate and a new key in place, as renewals do.
    fn renew(&self) -> CertificateDer<'static> {
        let (certificate, key, der) = make();
        self.replace(self.paths().certificate, &certificate);
        self.replace(self.paths().key, &key);
        der
    }

    fn replace(&self, path: PathBuf, text: &str) {
        let new = self.directory.path().join("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, path).unwrap();
    }

    fn config(&self) -> Config {
        Config { tls: Some(self.paths()), drain: Duration::from_millis(300), ..Config::default() }
    }
}

/// Makes a certificate for the loopback address with its key, in PEM, and the certificate as clients trust it.
fn make() -> (String, String, CertificateDer<'static>) {
    let directory = tempfile::tempdir().unwrap();
    let request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj /CN=gorae-test \
                   -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE -keyout key -out crt";
    let made = Command::new("openssl").args(request.split_whitespace()).current_dir(&directory).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let read = |name| std::fs::read_to_string(directory.path().join(name)).unwrap();
    let certificate = read("crt");
    let der = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    (certificate, read("key"), der)
}

async fn connect_with(
    server: &Server,
    trusted: &CertificateDer<'static>,
    protocols: &[&str],
) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(server.address()).await?;
    let name = ServerName::from(server.address().ip());
    soon(TlsConnector::from(Arc::new(config)).connect(name, stream)).await
}

async fn connect(server: &Server, trusted: &CertificateDer<'static>) -> io::Result<TlsStream<TcpStream>> {
    connect_with(server, trusted, &[]).await
}

async fn spdy(
    server: &Server,
    trusted: &CertificateDer<'static>,
    request: gorae_proto::cri::ExecRequest,
    flags: &str,
) -> Client<TlsStream<TcpStream>> {
    let url = server.exec_url(&request).unwrap();
    let socket = connect(server, trusted).await.unwrap();
    let mut client = Client::upgrade_over(socket, parts(&url).1, "v4.channel.k8s.io").await;
    client.open_streams(flags).await;
    client
}

fn noise(length: usize) -> Vec<u8> {
    (0..length as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_go_both_ways_and_the_end_is_as_over_plain_tcp() {
    let (files, trusted) = Files::new();
    let (server, backend) = server_with(files.config()).await;
    assert!(server.exec_url(&exec(&["true"], "o")).unwrap().starts_with("https://127.0.0.1:"));
    let all = noise(3_000_000);

    let mut client = spdy(&server, &trusted, shell("cat; echo end >&2; exit 3", "ioe"), "ioe").await;
    let stdin = client.id("stdin");
    for part in all.chunks(700_000) {
        client.send(stdin, part, false).await;
        let sent = client.seen("stdout").length;
        client.until(|client| client.seen("stdout").length > sent).await;
    }
    client.send(stdin, b"", true).await;
    assert!(client.status().await.contains("exit code 3"));
    assert!(client.seen("stdout").data == all && client.text("stderr") == "end\n");
    client.raw(&frames::goaway(0, 0)).await;
    client.rest().await;
    let end = client.socket.read(&mut [0]).await;
    assert!(matches!(end, Ok(0)), "its end is told inside of TLS: {end:?}");

    let url = server.exec_url(&exec(&["cat"], "io")).unwrap();
    let socket = connect(&server, &trusted).await.unwrap();
    let mut client = websocket_client::Client::upgrade_over(socket, parts(&url).1, "v5.channel.k8s.io").await;
    for part in all.chunks(100_000) {
        client.send(0, part).await;
        let sent = client.channel(1).len();
        client.until(|client| client.channel(1).len() > sent).await;
    }
    client.send(255, &[0]).await;
    assert_eq!(client.close_code().await, 1000);
    assert!(client.channel(1) == all && client.text(3) == SUCCESS);
    left_nothing(&server, &backend).await;
}

#[tokio::test]
async fn a_slow_reader_gets_every_byte() {
    let (files, trusted) = Files::new();
    let (server, _) = server_with(files.config()).await;
    let mut client = spdy(&server, &trusted, exec(&["seq", "1", "60000"], "o"), "o").await;
    rustix::net::sockopt::set_socket_recv_buffer_size(client.socket.get_ref().0, 4096).unwrap();
    client.window = 1000;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(client.status().await, SUCCESS);
    let expected: String = (1..=60_000).map(|n| format!("{n}\n")).collect();
    assert!(client.text("stdout") == expected);
}

#[tokio::test]
async fn a_renewed_certificate_serves_the_next_client_and_sessions_go_on() {
    let (files, first) = Files::new();
    let (server, _) = server_with(files.config()).await;
    let mut before = spdy(&server, &first, exec(&["cat"], "io"), "io").await;
    let second = files.renew();
    assert!(connect(&server, &first).await.is_err(), "it is not shown any more");
    let mut after = spdy(&server, &second, exec(&["true"], "o"), "o").await;
    assert_eq!(after.status().await, SUCCESS);
    let stdin = before.id("stdin");
    before.send(stdin, b"still", true).await;
    assert_eq!((before.status().await, before.text("stdout")), (SUCCESS.into(), "still".into()));
}

#[tokio::test]
async fn files_that_cannot_be_used_leave_the_certificate_before_them_in_place() {
    let (files, first) = Files::new();
    let (server, _) = server_with(files.config()).await;
    let CertificateFiles { certificate, key } = files.paths();
    files.replace(certificate.clone(), "half of a certif");
    connect(&server, &first).await.unwrap();
    // The certificate arrives before its key.
    let (new, new_key, second) = make();
    files.replace(certificate.clone(), &new);
    connect(&server, &first).await.unwrap();
    std::fs::remove_file(&key).unwrap();
    connect(&server, &first).await.unwrap();
    files.replace(key, &new_key);
    connect(&server, &second).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_at_the_start_with_its_file() {
    let started = async |files: &Files| Server::start(files.config(), Arc::new(Local::default())).await;
    let (certificate, key, _) = make();
    let secret: String = key.lines().filter(|line| !line.contains("-----")).collect();
    let long = " ".repeat((1 << 20) + 1);
    let broken = key.replace("PRIVATE KEY", "PRIVATE  KEY");
    for (name, text, told) in [
        ("tls.crt", "no PEM", "has no certificate"),
        ("tls.crt", key.as_str(), "has no certificate"),
        ("tls.crt", long.as_str(), "is longer than"),
        ("tls.key", "no PEM", "has no private key"),
        ("tls.key", certificate.as_str(), "has no private key"),
        ("tls.key", broken.as_str(), "has no private key"),
        ("tls.key", key.as_str(), "keys may not be consistent"),
        ("tls.key", "", "has no private key"),
    ] {
        let (files, _) = Files::new();
        let path = files.directory.path().join(name);
        files.replace(path.clone(), text);
        let error = started(&files).await.unwrap_err().to_string();
        assert!(error.contains(told) && error.contains(path.to_str().unwrap()), "{told}: {error}");
        assert!(!error.contains(&secret[..20]), "{error}");
        std::fs::remove_file(&path).unwrap();
        let error = started(&files).await.unwrap_err().to_string();
        assert!(error.contains("No such file") && error.contains(path.to_str().unwrap()), "{error}");
        std::fs::create_dir(&path).unwrap();
        assert!(started(&files).await.unwrap_err().to_string().contains("not a regular file"));
    }
}

#[tokio::test]
async fn http_1_is_the_only_protocol() {
    let (files, trusted) = Files::new();
    let (server, _) = server_with(files.config()).await;
    let stream = connect_with(&server, &trusted, &["h2", "http/1.1"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert!(connect_with(&server, &trusted, &["h2"]).await.is_err());
    let mut plain = TcpStream::connect(server.address()).await.unwrap();
    plain.write_all(b"GET /exec/x HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    soon(plain.read_to_end(&mut answer)).await.unwrap();
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_does_not_come_is_given_up() {
    let (files, _) = Files::new();
    let (server, _) = server_with(files.config()).await;
    let mut silent = TcpStream::connect(server.address()).await.unwrap();
    soon(silent.read_to_end(&mut Vec::new())).await.unwrap();
    eventually("it is closed here, too", || server.connections() == 0).await;
}

#[tokio::test]
async fn a_client_that_vanishes_while_the_process_does_not_read_is_noticed() {
    let (files, trusted) = Files::new();
    let (server, _) = server_with(files.config()).await;
    let mut client = spdy(&server, &trusted, exec(&["sleep", "60"], "i"), "i").await;
    let stdin = client.id("stdin");
    soon(client.send(stdin, &vec![0; 1_500_000], false)).await;
    drop(client);
    let begun = Instant::now();
    while server.connections() > 0 {
        assert!(begun.elapsed() < Duration::from_secs(30), "the session goes on without its client");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
