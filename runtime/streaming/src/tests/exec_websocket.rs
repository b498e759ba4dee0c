// SPDX-License-Identifier: Apache-2.0
//! Exec over WebSocket, with real commands.

use super::websocket_client::{Client, MASK};
use super::{eventually, exec, is_running, left_nothing, server, shell, soon, unique};
use crate::websocket::frames::{self, BINARY, PING, TEXT};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::time::Duration;

const SUCCESS: &str = r#"{"status":"Success"}"#;

#[tokio::test]
async fn v5_runs_a_command_and_half_closes_stdin() {
    let (server, _) = server().await;
    let url = server.exec_url(&shell("cat; echo err >&2; exit 7", "ioe")).unwrap();
    let mut client = Client::upgrade(&url, "v5.channel.k8s.io").await;
    client.until(|client| client.messages == [[1]]).await;
    client.send(0, b"hello ").await;
    client.send(0, b"").await;
    client.frame(TEXT, b"\0world").await;
    client.frame(BINARY, b"").await;
    client.send(255, &[0]).await;
    client.send(255, &[0]).await;
    assert_eq!(client.close_code().await, 1000);
    assert_eq!((client.text(1), client.text(2)), ("hello world".into(), "err\n".into()));
    assert!(client.text(3).contains(r#""causes":[{"reason":"ExitCode","message":"7"}]"#));
    assert_eq!(client.messages.last().unwrap()[0], 3, "the status comes last");
    assert_eq!(client.texts, 0, "clients abort on text");
}

#[tokio::test]
async fn the_readiness_message_is_on_the_first_wanted_output() {
    let (server, _) = server().await;
    for (flags, ready) in [("ioe", 1), ("ie", 2), ("i", 3)] {
        let url = server.exec_url(&shell("exit 0", flags)).unwrap();
        let mut client = Client::upgrade(&url, "v4.channel.k8s.io").await;
        client.close_code().await;
        assert_eq!(client.messages[0], [ready], "{flags}");
        assert_eq!(client.text(3), SUCCESS);
    }
}

#[tokio::test]
async fn old_versions_are_told_failures_as_text() {
    let (server, _) = server().await;
    for protocol in ["", "channel.k8s.io", "base64.channel.k8s.io"] {
        let status = async |script: &str| {
            let url = server.exec_url(&shell(script, "o")).unwrap();
            let mut client = Client::upgrade(&url, protocol).await;
            assert_eq!(client.close_code().await, 1000);
            (client.text(3), client.text(b'3'))
        };
        assert_eq!(status("true").await, (String::new(), String::new()));
        let (binary, base64) = status("exit 3").await;
        let text =
            if base64.is_empty() { binary } else { String::from_utf8(STANDARD.decode(base64).unwrap()).unwrap() };
        assert!(text.ends_with(", exit code 3") && text.starts_with("command terminated"), "{protocol}: {text}");
    }
}

#[tokio::test]
async fn base64_goes_both_ways_and_bad_base64_is_dropped() {
    let (server, _) = server().await;
    let url = server.exec_url(&shell("head -c 9", "io")).unwrap();
    let mut client = Client::upgrade(&url, "v4.base64.channel.k8s.io").await;
    client.frame(TEXT, b"0!!!").await;
    client.frame(TEXT, format!("0{}", STANDARD.encode("some")).as_bytes()).await;
    client.frame(BINARY, format!("0{}", STANDARD.encode("bytes")).as_bytes()).await;
    assert_eq!(client.close_code().await, 1000);
    let output: Vec<u8> = STANDARD.decode(client.text(b'1')).unwrap();
    assert_eq!(output, b"somebytes");
    assert_eq!(STANDARD.decode(client.text(b'3')).unwrap(), SUCCESS.as_bytes());
    assert_eq!(client.texts, client.messages.len());
}

#[tokio::test]
async fn fragments_with_pings_between_and_pongs_with_the_payload() {
    let (server, _) = server().await;
    let url = server.exec_url(&shell("head -c 6", "io")).unwrap();
    let mut client = Client::upgrade(&url, "v5.channel.k8s.io").await;
    client.raw(&frames::masked_frame(BINARY, false, MASK, b"\0ab")).await;
    client.frame(PING, b"are you there").await;
    client.raw(&frames::masked_frame(0, false, MASK, b"cd")).await;
    client.until(|client| !client.pongs.is_empty()).await;
    client.raw(&frames::masked_frame(0, true, MASK, b"ef")).await;
    assert_eq!(client.close_code().await, 1000);
    assert_eq!(client.text(1), "abcdef");
}

#[tokio::test]
async fn a_terminal_is_resized_though_stdin_is_off() {
    let (server, _) = server().await;
    let url = server
        .exec_url(&shell("while [ \"$(stty size </dev/tty)\" != '33 101' ]; do sleep 0.05; done; echo seen", "ot"));
    let mut client = Client::upgrade(&url.unwrap(), "v5.channel.k8s.io").await;
    client.send(4, b"{\"Width\":101,\"Height\":33}").await;
    client.send(255, &[4]).await;
    assert_eq!(client.close_code().await, 1000);
    assert!(client.text(1).contains("seen"));
}

#[tokio::test]
async fn channels_that_carry_nothing_are_ignored() {
    let (server, _) = server().await;
    let url = server.exec_url(&shell("sleep 0.2; echo ok", "o")).unwrap();
    let mut client = Client::upgrade(&url, "v4.channel.k8s.io").await;
    for channel in [0, 1, 2, 3, 4, 5, 77, 254, 255] {
        client.send(channel, b"x").await;
    }
    assert_eq!(client.close_code().await, 1000);
    assert_eq!((client.text(1), client.text(3)), ("ok\n".into(), SUCCESS.into()));
}

#[tokio::test]
async fn before_v5_a_client_that_drops_the_connection_ends_stdin_with_all_its_bytes() {
    let (server, _) = server().await;
    let file = std::env::temp_dir().join(unique("gorae-dropped"));
    let url = server.exec_url(&shell(&format!("sleep 0.3; exec cat >{}", file.display()), "i")).unwrap();
    let mut client = Client::upgrade(&url, "v4.channel.k8s.io").await;
    client.until(|client| client.messages == [[3]]).await;
    client.send(0, &[b'x'; 300_000]).await;
    drop(client);
    eventually("all was written", || std::fs::metadata(&file).is_ok_and(|meta| meta.len() == 300_000)).await;
    std::fs::remove_file(file).unwrap();
}

#[tokio::test]
async fn frames_against_the_rules_close_with_their_code_and_a_failure() {
    let (server, _) = server().await;
    let long = frames::masked_frame(BINARY, true, MASK, &[&[4u8][..], &vec![b' '; 1_100_000]].concat());
    let cases: Vec<(&str, Vec<u8>, u16)> = vec![
        ("unmasked", frames::frame(BINARY, b"\0x"), 1002),
        ("reserved bits", [&[0xc2u8][..], &frames::masked_frame(BINARY, true, MASK, b"\0x")[1..]].concat(), 1002),
        ("opcode", frames::masked_frame(3, true, MASK, b""), 1002),
        ("ff", frames::masked_frame(BINARY, true, MASK, &[255]), 1002),
        ("ff 00 00", frames::masked_frame(BINARY, true, MASK, &[255, 0, 0]), 1002),
        ("ff 09", frames::masked_frame(BINARY, true, MASK, &[255, 9]), 1002),
        ("oversize", long, 1009),
    ];
    for (name, wire, code) in cases {
        let marker = unique("gorae-fault");
        let url = server.exec_url(&shell(&format!("sleep 3; : {marker}"), "iot")).unwrap();
        let mut client = Client::upgrade(&url, "v5.channel.k8s.io").await;
        client.until(|client| client.messages == [[1]]).await;
        soon(client.raw(&wire)).await;
        assert_eq!(client.close_code().await, code, "{name}");
        assert!(client.text(3).contains("\"status\":\"Failure\""), "{name}: {}", client.text(3));
    }
}

#[tokio::test]
async fn a_client_that_closes_gets_its_close_back_and_the_terminal_hangs_up() {
    let (server, _) = server().await;
    for close in [vec![], 1000u16.to_be_bytes().to_vec(), 1001u16.to_be_bytes().to_vec()] {
        let marker = unique("gorae-hangup");
        let url = server.exec_url(&shell(&format!("while :; do sleep 0.1; done; : {marker}"), "iot")).unwrap();
        let mut client = Client::upgrade(&url, "v5.channel.k8s.io").await;
        eventually("it runs", || is_running(&marker)).await;
        client.frame(frames::CLOSE, &close).await;
        while soon(client.pump()).await {}
        let expected = close.first_chunk::<2>().map_or(1000, |code| u16::from_be_bytes(*code));
        assert_eq!(client.closed, Some(expected));
        eventually("SIGHUP ended it", || !is_running(&marker)).await;
    }
}

#[tokio::test]
async fn a_cut_without_close_at_any_moment_leaves_nothing() {
    let (server, backend) = server().await;
    let message = frames::masked_frame(BINARY, true, MASK, b"\0hello");
    let fragment = frames::masked_frame(BINARY, false, MASK, b"\0hel");
    for wire in [&[][..], &message[..1], &message[..4], &message[..9], &message, &fragment] {
        for protocol in ["v5.channel.k8s.io", "v4.base64.channel.k8s.io"] {
            let url = server.exec_url(&exec(&["cat"], "io")).unwrap();
            let mut client = Client::upgrade(&url, protocol).await;
            client.until(|client| !client.messages.is_empty()).await;
            client.raw(wire).await;
        }
    }
    left_nothing(&server, &backend).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_message_may_be_longer_than_memory_allows() {
    let (server, _) = server().await;
    let url = server.exec_url(&exec(&["wc", "-c"], "io")).unwrap();
    let mut client = Client::upgrade(&url, "v5.channel.k8s.io").await;
    let length: u64 = 64 << 20;
    let mut head = vec![0x82, 0xff];
    head.extend_from_slice(&(length + 1).to_be_bytes());
    head.extend_from_slice(&[0; 4]);
    head.push(0);
    client.raw(&head).await;
    let part = vec![b'x'; 1 << 20];
    for _ in 0..64 {
        soon(client.raw(&part)).await;
    }
    client.send(255, &[0]).await;
    assert_eq!(client.close_code().await, 1000);
    assert_eq!(client.text(1).trim(), length.to_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_gets_every_byte() {
    let (server, _) = server().await;
    let url = server.exec_url(&shell("seq 1 300000", "o")).unwrap();
    let mut client = Client::upgrade(&url, "v5.channel.k8s.io").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(client.close_code().await, 1000);
    let expected: String = (1..=300_000).map(|n| format!("{n}\n")).collect();
    assert!(client.text(1) == expected);
    assert!(client.messages.iter().all(|message| message.len() <= 32 * 1024 + 1));
}
