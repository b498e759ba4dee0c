// SPDX-License-Identifier: Apache-2.0
//! The requests that the HTTP layer accepts and refuses.

use super::spdy_client::Client;
use super::{exec, parts, server, shell, soon};
use crate::spdy::Session;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// Sends a request and reads the head of the response; bytes after it stay in the socket.
pub(super) async fn request(method: &str, url: &str, headers: &str, after: &[u8]) -> (String, TcpStream) {
    let (address, path) = parts(url);
    let mut socket = TcpStream::connect(address).await.unwrap();
    let head = request_over(&mut socket, (method, path), headers, after).await;
    (head, socket)
}

/// The same on an existing connection.
pub(super) async fn request_over(
    socket: &mut (impl AsyncRead + AsyncWrite + Unpin),
    (method, path): (&str, &str),
    headers: &str,
    after: &[u8],
) -> String {
    let text = format!("{method} {path} HTTP/1.1\r\nHost: some.other.host\r\n{headers}\r\n");
    socket.write_all(&[text.as_bytes(), after].concat()).await.unwrap();
    head(socket).await
}

async fn head(socket: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if soon(socket.read(&mut byte)).await.unwrap() == 0 {
            break;
        }
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

async fn refusal(method: &str, url: &str, headers: &str) -> String {
    let (mut head, mut socket) = request(method, url, headers, b"").await;
    soon(socket.read_to_string(&mut head)).await.unwrap();
    head.to_ascii_lowercase()
}

const SPDY: &str = "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n";

#[tokio::test]
async fn urls_are_absolute_and_their_tokens_work_once_on_their_own_path() {
    let (server, _) = server().await;
    let url = server.exec_url(&exec(&["true"], "o")).unwrap();
    assert!(url.starts_with(&format!("http://127.0.0.1:{}/exec/", server.address().port())));
    let other = url.replace("/exec/", "/attach/");
    assert!(refusal("POST", &other, SPDY).await.starts_with("http/1.1 404"));
    assert!(refusal("POST", &url, SPDY).await.starts_with("http/1.1 404"), "used up by the wrong path");
    let none = format!("http://{}/exec/", server.address());
    assert!(refusal("GET", &none, SPDY).await.starts_with("http/1.1 404"));
    let nowhere = format!("http://{}/else", server.address());
    assert!(refusal("GET", &nowhere, SPDY).await.starts_with("http/1.1 404"));
}

#[tokio::test]
async fn other_methods_are_refused_and_leave_the_token() {
    let (server, _) = server().await;
    let url = server.exec_url(&exec(&["true"], "o")).unwrap();
    for method in ["PUT", "DELETE", "HEAD", "OPTIONS"] {
        let answer = refusal(method, &url, SPDY).await;
        assert!(answer.starts_with("http/1.1 405") && answer.contains("connection: close"), "{answer}");
    }
    Client::exec(&url, "o").await;
}

#[tokio::test]
async fn a_missing_protocol_is_400_and_an_unknown_one_403_with_the_list() {
    let (server, _) = server().await;
    let url = || server.exec_url(&exec(&["true"], "o")).unwrap();
    for none in ["", "X-Stream-Protocol-Version:\r\n", "X-Stream-Protocol-Version:  , ,\r\n"] {
        let answer = refusal("POST", &url(), &format!("{SPDY}{none}")).await;
        assert!(answer.starts_with("http/1.1 400") && answer.contains("content-length"), "{answer}");
    }
    let answer = refusal("POST", &url(), &format!("{SPDY}X-Stream-Protocol-Version: v9\r\n")).await;
    assert!(answer.starts_with("http/1.1 403"), "{answer}");
    for name in ["v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io"] {
        assert!(answer.contains(&format!("x-accepted-stream-protocol-versions: {name}\r\n")), "{answer}");
    }
    for broken in ["Upgrade: SPDY/3.1\r\n", "Connection: Upgrade\r\n", "Connection: Upgrade\r\nUpgrade: h2c\r\n"] {
        let headers = format!("{broken}X-Stream-Protocol-Version: v4.channel.k8s.io\r\n");
        assert!(refusal("GET", &url(), &headers).await.starts_with("http/1.1 400"), "{broken}");
    }
}

#[tokio::test]
async fn the_first_offered_protocol_that_is_known_wins_from_lists_and_lines() {
    let (server, _) = server().await;
    for (method, headers, chosen) in [
        (
            "POST",
            "X-Stream-Protocol-Version: v5.channel.k8s.io\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n",
            "v4.",
        ),
        ("GET", "x-stream-protocol-version: , v9 ,v2.channel.k8s.io,v4.channel.k8s.io\r\n", "v2."),
        ("POST", "X-Stream-Protocol-Version: channel.k8s.io\r\n", ""),
    ] {
        let url = server.exec_url(&exec(&["true"], "o")).unwrap();
        let upgrade = "connection: keep-alive, upgrade\r\nupgrade: spdy/3.1\r\n";
        let (head, _socket) = request(method, &url, &format!("{upgrade}{headers}"), b"").await;
        let head = head.to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 101"), "{head}");
        assert!(head.contains("connection: upgrade\r\n") && head.contains("upgrade: spdy/3.1\r\n"), "{head}");
        assert!(head.contains(&format!("x-stream-protocol-version: {chosen}channel.k8s.io\r\n")), "{head}");
    }
}

#[tokio::test]
async fn the_server_is_silent_until_the_first_frame() {
    let (server, _) = server().await;
    let url = server.exec_url(&exec(&["true"], "o")).unwrap();
    let mut client = Client::upgrade(&url, "v4.channel.k8s.io").await;
    let mut byte = [0];
    let read = tokio::time::timeout(std::time::Duration::from_secs(1), client.socket.read(&mut byte)).await;
    assert!(read.is_err(), "something came: {read:?}");
    client.open_streams("o").await;
    assert_eq!(client.status().await, r#"{"status":"Success"}"#);
}

#[tokio::test]
async fn frames_in_the_same_segment_as_the_request_are_not_lost() {
    let (server, _) = server().await;
    let url = server.exec_url(&shell("echo hi", "o")).unwrap();
    let mut session = Session::client();
    let (error, first) = session.open(&[("streamType", "error")]);
    let headers = format!("{SPDY}X-Stream-Protocol-Version: v4.channel.k8s.io\r\n");
    let (head, socket) = request("POST", &url, &headers, &first).await;
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    let mut client = Client { session, ..Client::over(socket) };
    client.streams.insert(error, Default::default());
    client.names.insert("error".into(), error);
    client.open("stdout").await;
    assert_eq!(client.status().await, r#"{"status":"Success"}"#);
    assert_eq!(client.text("stdout"), "hi\n");
}

#[tokio::test]
async fn a_request_may_come_byte_by_byte() {
    let (server, _) = server().await;
    let url = server.exec_url(&exec(&["true"], "o")).unwrap();
    let (address, path) = parts(&url);
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.set_nodelay(true).unwrap();
    let text = format!("POST {path} HTTP/1.1\r\nHost: x\r\n{SPDY}X-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n");
    for byte in text.as_bytes() {
        socket.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert!(head(&mut socket).await.starts_with("HTTP/1.1 101"));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_does_not_end_is_closed_after_ten_seconds() {
    let (server, _) = server().await;
    for head in ["", "POST /exec/x HTTP/1.1\r\nHost: x\r\nX-Slow: "] {
        let begun = tokio::time::Instant::now();
        let mut socket = TcpStream::connect(server.address()).await.unwrap();
        socket.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        soon(socket.read_to_end(&mut answer)).await.unwrap();
        assert!(begun.elapsed().as_secs() <= 15 && !answer.starts_with(b"HTTP/1.1 101"), "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn silent_connections_keep_nobody_out() {
    let (server, _) = server().await;
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(TcpStream::connect(server.address()).await.unwrap());
    }
    let mut client = Client::exec(&server.exec_url(&exec(&["true"], "o")).unwrap(), "o").await;
    assert_eq!(client.status().await, r#"{"status":"Success"}"#);
    assert_eq!(soon(silent[0].read(&mut [0])).await.unwrap(), 0, "the oldest made room");
    drop(client);
    let most = crate::waiting::MOST;
    super::eventually("only so many are kept", || server.connections() <= most).await;
}

#[tokio::test(start_paused = true)]
async fn urls_are_for_a_minute_and_no_more_than_a_thousand_wait() {
    let (server, _) = server().await;
    let urls: Vec<String> = (0..1000).map(|_| server.exec_url(&exec(&["true"], "o")).unwrap()).collect();
    let refused = server.exec_url(&exec(&["true"], "o")).map_err(|status| status.code());
    assert_eq!(refused, Err(tonic::Code::ResourceExhausted));
    tokio::time::advance(std::time::Duration::from_secs(61)).await;
    let headers = format!("{SPDY}X-Stream-Protocol-Version: v4.channel.k8s.io\r\n");
    assert!(refusal("POST", &urls[0], &headers).await.starts_with("http/1.1 404"));
    assert!(server.exec_url(&exec(&["true"], "o")).is_ok());
}

#[tokio::test]
async fn requests_without_container_streams_or_sense_are_invalid() {
    let (server, _) = server().await;
    let code = |request: gorae_proto::cri::ExecRequest| server.exec_url(&request).map_err(|status| status.code());
    assert_eq!(code(exec(&["true"], "")), Err(tonic::Code::InvalidArgument));
    assert_eq!(code(exec(&["true"], "te")), Err(tonic::Code::InvalidArgument));
    let nameless = gorae_proto::cri::ExecRequest { container_id: String::new(), ..exec(&["true"], "o") };
    assert_eq!(code(nameless), Err(tonic::Code::InvalidArgument));
    let forward = |pod: &str, port| {
        let request = gorae_proto::cri::PortForwardRequest { pod_sandbox_id: pod.into(), port };
        server.port_forward_url(&request).map_err(|status| status.code())
    };
    assert_eq!(forward("", vec![]), Err(tonic::Code::InvalidArgument));
    assert_eq!(forward("p", vec![0]), Err(tonic::Code::InvalidArgument));
    assert_eq!(forward("p", vec![65536]), Err(tonic::Code::InvalidArgument));
    assert!(forward("p", vec![]).is_ok() && forward("p", vec![80, 443]).is_ok());
}

#[tokio::test]
async fn the_thousand_and_first_url_is_refused() {
    let (server, _) = server().await;
    let urls: Vec<_> = (0..1000).map(|_| server.exec_url(&exec(&["true"], "o")).unwrap()).collect();
    let refused = server.exec_url(&exec(&["true"], "o")).unwrap_err();
    assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
    assert_eq!(refused.message(), "maximum number of in-flight requests exceeded");
    Client::exec(&urls[999], "o").await;
    assert!(server.exec_url(&exec(&["true"], "o")).is_ok());
}

#[tokio::test]
async fn websocket_requests_are_checked_before_the_upgrade() {
    let (server, _) = server().await;
    let url = || server.exec_url(&exec(&["true"], "o")).unwrap();
    let upgrade = "Connection: Upgrade\r\nUpgrade: WebSocket\r\n";
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let version = "Sec-WebSocket-Version: 13\r\n";
    let answer = refusal("POST", &url(), &format!("{upgrade}{key}{version}")).await;
    assert!(answer.starts_with("http/1.1 405"), "{answer}");
    assert!(refusal("GET", &url(), &format!("{upgrade}{version}")).await.starts_with("http/1.1 400"));
    let answer = refusal("GET", &url(), &format!("{upgrade}{key}Sec-WebSocket-Version: 8\r\n")).await;
    assert!(answer.starts_with("http/1.1 400") && answer.contains("sec-websocket-version: 13\r\n"), "{answer}");
    let answer = refusal("GET", &url(), &format!("{upgrade}{key}{version}Sec-WebSocket-Protocol: v9\r\n")).await;
    assert!(answer.starts_with("http/1.1 403"), "{answer}");

    let offer = "Sec-WebSocket-Protocol: v9, v4.channel.k8s.io\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\n";
    let extensions = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    let (head, _socket) = request("GET", &url(), &format!("{upgrade}{key}{version}{offer}{extensions}"), b"").await;
    let lower = head.to_ascii_lowercase();
    assert!(lower.starts_with("http/1.1 101"), "{head}");
    assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
    assert!(lower.contains("sec-websocket-protocol: v4.channel.k8s.io\r\n") && !lower.contains("extensions"), "{head}");

    let (head, _socket) = request("GET", &url(), &format!("{upgrade}{key}{version}"), b"").await;
    let lower = head.to_ascii_lowercase();
    assert!(lower.starts_with("http/1.1 101") && !lower.contains("sec-websocket-protocol"), "{head}");
}

#[tokio::test]
async fn a_wildcard_address_is_refused_at_the_start() {
    let config = crate::Config { bind: "0.0.0.0:0".parse().unwrap(), ..Default::default() };
    let backend = std::sync::Arc::new(super::backend::Local::default());
    assert!(crate::Server::start(config, backend).await.is_err());
}
