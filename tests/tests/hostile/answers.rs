// SPDX-License-Identifier: Apache-2.0
//! A registry whose answers have no end: they are refused, and the daemon's memory is what it was.

use gorae_tests::{memory, on_a_node};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

/// What an answer takes at most of the daemon's memory while it is read.
const MOST_KB: u64 = 64 << 10;
/// A gibibyte stands for an answer without an end.
const ENDLESS: usize = 1 << 30;

/// A body: a beginning, then one piece again and again, then an end.
#[derive(Clone)]
struct Body {
    begin: String,
    piece: String,
    times: usize,
    end: &'static str,
}

impl Body {
    fn of(begin: impl Into<String>, piece: impl Into<String>, times: usize, end: &'static str) -> Body {
        Body { begin: begin.into(), piece: piece.into(), times, end }
    }

    fn len(&self) -> usize {
        self.begin.len() + self.piece.len() * self.times + self.end.len()
    }

    fn send(&self, stream: &mut TcpStream) -> std::io::Result<()> {
        stream.write_all(self.begin.as_bytes())?;
        let many = (1 << 16) / self.piece.len().max(1) + 1;
        let block = self.piece.repeat(many);
        for _ in 0..self.times / many {
            stream.write_all(block.as_bytes())?;
        }
        stream.write_all(self.piece.repeat(self.times % many).as_bytes())?;
        stream.write_all(self.end.as_bytes())
    }
}

type Answers = dyn Fn(&str, SocketAddr) -> (String, Body) + Send + Sync;

/// Answers every request by its path with a head (status and headers) and a body; lives as long as the test binary.
fn serve(answers: impl Fn(&str, SocketAddr) -> (String, Body) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("it has an address");
    let answers: Arc<Answers> = Arc::new(answers);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answers = answers.clone();
            // A client that has read enough hangs up.
            std::thread::spawn(move || answer(stream, &*answers, address));
        }
    });
    address
}

fn answer(stream: TcpStream, answers: &Answers, address: SocketAddr) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
        line.clear();
    }
    let (head, body) = answers(first.split(' ').nth(1)?, address);
    let mut stream = reader.into_inner();
    write!(stream, "HTTP/1.1 {head}content-length: {}\r\nconnection: close\r\n\r\n", body.len()).ok()?;
    if !first.starts_with("HEAD") {
        body.send(&mut stream).ok()?;
    }
    Some(())
}

const MANIFEST: &str = "200 OK\r\ncontent-type: application/vnd.oci.image.manifest.v1+json\r\n";
const INDEX: &str = "200 OK\r\ncontent-type: application/vnd.oci.image.index.v1+json\r\n";

/// A descriptor of a blob that does not exist.
fn descriptor(media_type: &str, size: u64) -> String {
    let digest = format!("sha256:{}", "1".repeat(64));
    format!("{{\"mediaType\":\"application/vnd.oci.image.{media_type}\",\"digest\":\"{digest}\",\"size\":{size}}}")
}

fn manifest_of(layers: usize) -> Body {
    let begin = format!("{{\"schemaVersion\":2,\"config\":{},\"layers\":[", descriptor("config.v1+json", 100));
    let layer = descriptor("layer.v1.tar", 1);
    Body::of(begin + &layer, format!(",{layer}"), layers - 1, "]}")
}

/// What the registry says for each name of an image.
fn by_name(path: &str, address: SocketAddr) -> (String, Body) {
    let unauthorized = |realm: &str| format!("401 Unauthorized\r\nwww-authenticate: Bearer realm=\"{realm}\"\r\n");
    let nothing = Body::of("", "", 0, "");
    let deep = || Body::of("", "[", 4 << 20, "");
    let name = path.split('/').nth(2).unwrap_or("");
    match name {
        _ if path.starts_with("/token") => ("200 OK\r\n".into(), Body::of("{\"token\":\"", "t", ENDLESS, "\"}")),
        "manifest" => (MANIFEST.into(), Body::of("{", " ", ENDLESS, "}")),
        "index" => (INDEX.into(), Body::of("{\"manifests\":[{}", ",{}", ENDLESS / 3, "]}")),
        "hundred-thousand" => (MANIFEST.into(), manifest_of(100_000)),
        "many" => (MANIFEST.into(), manifest_of(20_000)),
        "deep" => (MANIFEST.into(), deep()),
        "deep-object" => (MANIFEST.into(), Body::of("", "{\"a\":", 800_000, "")),
        "names" => (INDEX.into(), Body::of("{\"schemaVersion\":2,\"x\":{\"a\":1", ",\"a\":1", 600_000, "}}")),
        "config" if path.contains("/manifests/") => {
            let config = descriptor("config.v1+json", 8 << 20);
            let text = format!("{{\"schemaVersion\":2,\"config\":{config},\"layers\":[]}}");
            (MANIFEST.into(), Body::of(text, "", 0, ""))
        }
        "config" => ("200 OK\r\n".into(), Body::of("{", " ", ENDLESS, "}")),
        "error" => ("403 Forbidden\r\n".into(), Body::of("{\"errors\":[{\"code\":\"", "x", ENDLESS, "\"}]}")),
        "token" => (unauthorized(&format!("http://{address}/token")), nothing),
        "challenge" => (unauthorized(&"x".repeat(1 << 20)), nothing),
        "headers" => (format!("200 OK\r\n{}", "x: y\r\n".repeat(200_000)), nothing),
        "ring" => (format!("307 Temporary\r\nlocation: http://{address}{path}\r\n"), nothing),
        _ => ("404 Not Found\r\n".into(), nothing),
    }
}

#[test]
fn answers_without_an_end_are_refused_and_take_no_memory() {
    on_a_node(async |node| {
        let address = serve(by_name);
        let pid = node.daemon().pid().unwrap();
        for (name, words) in [
            ("manifest", "larger than"),
            ("index", "larger than"),
            ("hundred-thousand", "larger than"),
            ("many", "20000 layers"),
            ("deep", "cannot be used"),
            ("deep-object", "cannot be used"),
            ("names", "has no image for"),
            ("config", "larger than"),
            ("error", "forbids"),
            ("token", "too long"),
            ("challenge", ""),
            ("headers", ""),
            ("ring", "redirects too often"),
        ] {
            memory::forget_peak(pid).unwrap();
            let before = memory::peak_kb(pid).unwrap();
            let error = node.cri().pull(&format!("{address}/{name}:1")).await.unwrap_err();
            let taken = memory::peak_kb(pid).unwrap().saturating_sub(before);
            assert!(error.message().contains(words), "{name}: {error:?}");
            assert!(error.message().len() < 2000, "{name}: {} bytes of words", error.message().len());
            assert!(taken < MOST_KB, "{name} took {taken} kB");
        }
        assert!(node.cri().list_images().await.unwrap().is_empty());
    });
}
