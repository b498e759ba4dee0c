// SPDX-License-Identifier: Apache-2.0
//! Connections with the real HTTP/2 engine behind them, and clients that write raw frames.

use super::bodies::MESSAGE_LIMIT;
use super::clients::{Bounds, Clients};
use super::connection::{Connection, FRAME_LIMIT, IDLE_LIMIT};
use super::{Calls, Measures};
use futures_util::stream;
use gorae_proto::gorae::{self, images_server::ImagesServer};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::Instant;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

const HEADERS: u8 = 1;
const RESET: u8 = 3;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Sends one update, and then ends the stream of the reference `end` and leaves any other one open.
struct Progress;

#[tonic::async_trait]
impl gorae::images_server::Images for Progress {
    type PullProgressStream = Pin<Box<dyn Stream<Item = Result<gorae::PullProgressUpdate, Status>> + Send>>;

    async fn pull_progress(
        &self,
        request: Request<gorae::PullProgressRequest>,
    ) -> Result<Response<Self::PullProgressStream>, Status> {
        let ends = request.into_inner().reference == "end";
        let updates = stream::unfold(0, move |sent| async move {
            if sent == 1 && !ends {
                std::future::pending::<()>().await;
            }
            (sent == 0).then(|| (Ok(gorae::PullProgressUpdate::default()), 1))
        });
        Ok(Response::new(Box::pin(updates)))
    }

    async fn remove_image_name(
        &self,
        _: Request<gorae::RemoveImageNameRequest>,
    ) -> Result<Response<gorae::RemoveImageNameResponse>, Status> {
        Err(Status::unimplemented("there are no images here"))
    }
}

fn clients() -> Arc<Clients> {
    Clients::new(Bounds::default())
}

/// The client's end of a connection that is served.
fn connect(clients: &Arc<Clients>) -> DuplexStream {
    connect_to(clients, Arc::default())
}

/// The same, with its calls counted.
fn connect_to(clients: &Arc<Clients>, measures: Arc<Measures>) -> DuplexStream {
    let (ours, theirs) = duplex(64 << 10);
    let incoming = stream::iter([Ok::<_, io::Error>(Connection::new(theirs, clients.admit()))]);
    let server = tonic::transport::Server::builder()
        .layer(Calls::new(measures))
        .add_service(ImagesServer::new(Progress))
        .serve_with_incoming(incoming);
    tokio::spawn(server);
    ours
}

/// An HTTP/2 frame: on the connection for SETTINGS and PING, on the first stream for all others.
fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    let stream = u8::from(!matches!(kind, 4 | 6));
    [&length[1..], &[kind, flags, 0, 0, 0, stream], payload].concat()
}

fn greeting() -> Vec<u8> {
    [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(4, 0, &[])].concat()
}

fn literal(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).expect("short")][..], text.as_bytes()].concat();
    [&[0x40][..], &text(name), &text(value)].concat()
}

/// The headers of a call, as gRPC's C core writes them: literal names and values, added to the dynamic table.
fn block(authority: &str) -> Vec<u8> {
    block_of("PullProgress", authority)
}

fn block_of(method: &str, authority: &str) -> Vec<u8> {
    let path = literal(":path", &format!("/gorae.v1.Images/{method}"));
    let more = [literal("te", "trailers"), literal("content-type", "application/grpc")].concat();
    [&[0x83, 0x86][..], &path, &literal(":authority", authority), &more].concat()
}

fn message(reference: &str) -> Vec<u8> {
    let length = u8::try_from(reference.len()).expect("short");
    [&[0, 0, 0, 0, length + 2, 10, length][..], reference.as_bytes()].concat()
}

fn call(authority: &str, reference: &str) -> Vec<u8> {
    [frame(HEADERS, END_HEADERS, &block(authority)), frame(0, END_STREAM, &message(reference))].concat()
}

/// The kinds of the frames that arrive on the first stream, until the server ends it.
async fn answer(client: &mut DuplexStream) -> Vec<u8> {
    let mut kinds = Vec::new();
    loop {
        let mut head = [0; 9];
        client.read_exact(&mut head).await.expect("the connection stays open");
        let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
        client.read_exact(&mut payload).await.expect("whole");
        if head[8] == 1 {
            kinds.push(head[3]);
            if head[3] == RESET || head[3] < 2 && head[4] & END_STREAM != 0 {
                return kinds;
            }
        }
    }
}

/// How long it takes until the server closes the connection, when the client writes nothing more.
async fn end(client: &mut DuplexStream) -> Duration {
    let begun = Instant::now();
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(IDLE_LIMIT * 3, client.read_to_end(&mut rest)).await;
    begun.elapsed()
}

#[tokio::test]
async fn a_call_to_a_socket_path_is_answered_wherever_its_bytes_are_cut() {
    let wire = [greeting(), call("/run/gorae/gorae.sock", "end")].concat();
    for cut in 0..wire.len() {
        let mut client = connect(&clients());
        client.write_all(&wire[..cut]).await.expect("open");
        tokio::task::yield_now().await;
        client.write_all(&wire[cut..]).await.expect("open");
        assert_eq!(answer(&mut client).await, [HEADERS, 0, HEADERS], "cut at {cut}");
    }
}

#[tokio::test]
async fn the_engine_itself_resets_such_a_call() {
    let (mut client, theirs) = duplex(64 << 10);
    let incoming = stream::iter([Ok::<_, io::Error>(theirs)]);
    let server = tonic::transport::Server::builder().add_service(ImagesServer::new(Progress));
    tokio::spawn(server.serve_with_incoming(incoming));
    client.write_all(&[greeting(), call("%2Frun%2Fx.sock", "end")].concat()).await.expect("open");
    assert_eq!(answer(&mut client).await, [RESET], "when this fails, the filter is no longer needed");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stops_half_way_is_disconnected_after_a_while() {
    let begun = |bytes: &[u8]| [&greeting()[..], bytes].concat();
    for wire in [
        Vec::new(),
        greeting()[..10].to_vec(),
        greeting()[..24].to_vec(),
        begun(&frame(6, 0, &[0; 8])[..4]),
        begun(&frame(HEADERS, 0, &block("x"))),
        begun(&frame(HEADERS, END_HEADERS, &block("/x"))[..30]),
        begun(&[&frame(HEADERS, END_HEADERS, &block("x"))[..], &frame(0, 0, &[0; 9])[..14]].concat()),
    ] {
        let mut client = connect(&clients());
        client.write_all(&wire).await.expect("open");
        let took = end(&mut client).await;
        assert!(took >= FRAME_LIMIT && took < FRAME_LIMIT * 2, "{wire:?}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_arrives_byte_by_byte_gets_no_more_time_than_any_other() {
    let mut client = connect(&clients());
    client.write_all(&greeting()).await.expect("open");
    let begun = Instant::now();
    for byte in frame(HEADERS, END_HEADERS, &block("/x")).repeat(2) {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if client.write_all(&[byte]).await.is_err() {
            break;
        }
    }
    assert!(begun.elapsed() < FRAME_LIMIT * 2, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_message_that_stops_half_way_fails_only_its_own_call() {
    let mut client = connect(&clients());
    let half = [frame(HEADERS, END_HEADERS, &block("/x")), frame(0, 0, &message("end")[..7])].concat();
    client.write_all(&[greeting(), half].concat()).await.expect("open");
    let begun = Instant::now();
    let kinds = answer(&mut client).await;
    assert_eq!(kinds.first(), Some(&HEADERS), "{kinds:?}");
    assert!(begun.elapsed() >= MESSAGE_LIMIT && begun.elapsed() < MESSAGE_LIMIT * 2, "{:?}", begun.elapsed());
    assert!(end(&mut client).await > FRAME_LIMIT * 2, "the connection stays open for other calls");
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_a_request_is_closed_and_one_with_an_open_stream_stays() {
    let clients = clients();
    let mut idle = connect(&clients);
    idle.write_all(&greeting()).await.expect("open");
    let took = end(&mut idle).await;
    assert!(took >= IDLE_LIMIT && took < IDLE_LIMIT * 2, "{took:?}");
    let mut watching = connect(&clients);
    watching.write_all(&[greeting(), call("/x", "other")].concat()).await.expect("open");
    assert!(end(&mut watching).await >= IDLE_LIMIT * 3, "its stream is quiet and open");
    // The end of the stream starts the idle time again.
    watching.write_all(&frame(RESET, 0, &[0, 0, 0, 8])).await.expect("open");
    let took = end(&mut watching).await;
    assert!(took >= IDLE_LIMIT && took < IDLE_LIMIT * 2, "{took:?}");
}

#[tokio::test]
async fn one_connection_too_many_closes_the_quietest_one() {
    let clients = Clients::new(Bounds { connections: 2, ..Bounds::default() });
    let (mut quiet, mut busy) = (connect(&clients), connect(&clients));
    quiet.write_all(&greeting()).await.expect("open");
    busy.write_all(&[greeting(), call("/x", "other")].concat()).await.expect("open");
    let mut kinds = [0; 9];
    busy.read_exact(&mut kinds).await.expect("served");
    tokio::time::sleep(Duration::from_millis(5)).await;
    let mut last = connect(&clients);
    assert!(end(&mut quiet).await < FRAME_LIMIT);
    last.write_all(&[greeting(), call("/x", "end")].concat()).await.expect("open");
    assert_eq!(answer(&mut last).await, [HEADERS, 0, HEADERS]);
    busy.write_all(&frame(6, 0, &[0; 8])).await.expect("it is still open");
}

/// Collects the lines that this thread logs.
#[derive(Debug, Clone, Default)]
struct Lines(Arc<std::sync::Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn collect(&self) -> tracing::subscriber::DefaultGuard {
        let lines = self.clone();
        let log =
            tracing_subscriber::fmt().json().with_writer(move || lines.clone()).with_max_level(tracing::Level::INFO);
        tracing::subscriber::set_default(log.finish())
    }

    fn all(&self) -> Vec<serde_json::Value> {
        let text = String::from_utf8(self.0.lock().expect("no panic").clone()).expect("text");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

#[tokio::test]
async fn a_failed_call_is_one_line_in_a_span_that_identifies_it() {
    let lines = Lines::default();
    let _log = lines.collect();
    let measures = Arc::<Measures>::default();
    let mut client = connect_to(&clients(), measures.clone());
    let trace = literal("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    let headers = [block_of("RemoveImageName", "x"), trace].concat();
    // In two pieces: the subject of the call is known only when both have arrived.
    let message = message("u:secret@host/image:1");
    let body = [frame(0, 0, &message[..9]), frame(0, END_STREAM, &message[9..])].concat();
    client.write_all(&[greeting(), frame(HEADERS, END_HEADERS, &headers), body].concat()).await.expect("open");
    assert_eq!(answer(&mut client).await, [HEADERS]);
    let all = lines.all();
    let [line] = all.as_slice() else { panic!("{all:#?}") };
    let (fields, span) = (&line["fields"], &line["span"]);
    assert_eq!((&line["level"], &fields["code"]), (&"INFO".into(), &"Unimplemented".into()), "{line:#}");
    assert_eq!((&span["method"], &span["image"]), (&"RemoveImageName".into(), &"host/image:1".into()), "{line:#}");
    assert_eq!(span["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736", "{line:#}");
    assert_eq!(span["parent_id"], "00f067aa0ba902b7", "{line:#}");
    assert_eq!(fields["error"], "there are no images here", "{line:#}");
    assert!(fields["took_ms"].is_u64() && fields.get("repeated").is_none(), "{line:#}");
    let mut page = crate::metrics::Page::default();
    measures.write(&mut page);
    let page = page.into_text();
    assert!(page.contains("handled_total{method=\"RemoveImageName\",code=\"Unimplemented\"} 1\n"), "{page}");
}

#[tokio::test]
async fn a_client_that_disconnects_from_a_stream_has_canceled_it_without_a_line() {
    let lines = Lines::default();
    let _log = lines.collect();
    let measures = Arc::<Measures>::default();
    let mut client = connect_to(&clients(), measures.clone());
    client.write_all(&[greeting(), call("x", "other")].concat()).await.expect("open");
    let text = || {
        let mut page = crate::metrics::Page::default();
        measures.write(&mut page);
        page.into_text()
    };
    let mut head = [0; 200];
    let _ = client.read(&mut head).await.expect("an answer begins");
    while !text().contains("gorae_rpc_streams_open 1\n") {
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    drop(client);
    while !text().contains("gorae_rpc_handled_total{method=\"PullProgress\",code=\"Canceled\"} 1\n") {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(text().contains("gorae_rpc_streams_open 0\n") && lines.all().is_empty(), "{:?}", lines.all());
}
