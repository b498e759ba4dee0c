// SPDX-License-Identifier: Apache-2.0
//! Port forwarding over plain WebSocket channels: for the i-th port of the RPC, channel 2i carries its data and
//! 2i+1 its error. One connection to each port, opened with the session.

use std::sync::Mutex;

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::time::timeout;

use super::forward;
use super::inlet::{HIGH, Inlet};
use super::link::{Intake, Link};
use super::outbox::Frame;
use super::outlet::Outlet;
use super::websocket_stdio::{Farewell, UNASKED_PONG, answer_to};
use crate::Backend;
use crate::socket::Socket;
use crate::websocket::channels::{Channels, Input};
use crate::websocket::frames::{self, Decoder, Event};
use crate::websocket::{Codec, Protocol};

/// Most ports of a connection: both channels of each fit the channel byte, or are ASCII before base64.
pub(crate) const fn most_ports(codec: Codec) -> usize {
    match codec {
        Codec::Binary => 127,
        Codec::Base64 => 40,
    }
}

struct Forwards<'l> {
    link: &'l Link,
    codec: Codec,
    inlets: Vec<Inlet>,
    farewell: Mutex<Farewell>,
}

/// Serves one upgraded connection to its end.
pub(crate) async fn serve(
    stream: Socket,
    leftover: Bytes,
    link: &Link,
    (pod, ports): (&str, &[u16]),
    protocol: Protocol,
    backend: &impl Backend,
) {
    let (mut intake, mut socket) = Intake::split(stream, leftover);
    let forwards = Forwards {
        link,
        codec: protocol.codec,
        inlets: ports.iter().map(|_| Inlet::new(&link.gauge)).collect(),
        farewell: Mutex::new(Farewell::Cut),
    };
    let reader = async {
        let farewell = forwards.read(&mut intake).await;
        *forwards.farewell.lock().expect("no panic under this lock") = farewell;
    };
    let session = async {
        let all = join_all(ports.iter().enumerate().map(|(at, port)| forwards.forward(at, pod, *port, backend)));
        tokio::select! {
            () = link.gone.cancelled() => {}
            () = link.shutdown.cancelled() => {}
            () = link.idle() => {}
            _ = all => {}
        }
        forwards.close().await;
    };
    link.drive(&mut socket, reader, session).await;
    intake.close(socket, link).await;
}

impl Forwards<'_> {
    async fn read(&self, intake: &mut Intake) -> Farewell {
        let mut decoder = Decoder::server();
        let mut channels = Channels::new(self.codec, false, |channel| channel.is_multiple_of(2));
        loop {
            tokio::select! {
                biased;
                () = self.wait_for_room() => {}
                () = intake.abandoned(self.link) => return Farewell::Cut,
            }
            let Ok(mut input) = intake.read(self.link).await else { return Farewell::Cut };
            if input.is_empty() {
                return Farewell::Cut;
            }
            loop {
                let event = match decoder.next(&mut input) {
                    Ok(Some(event)) => event,
                    Ok(None) => break,
                    Err(fault) => return Farewell::Fault(fault),
                };
                match &event {
                    Event::Ping(payload) => self.link.outbox.pong(frames::frame(frames::PONG, payload)),
                    Event::Close(code) => return Farewell::Close(*code),
                    _ => {}
                }
                if let Err(fault) = channels.piece(&event, |input| self.deliver(&input)) {
                    return Farewell::Fault(fault);
                }
            }
        }
    }

    async fn wait_for_room(&self) {
        while self.inlets.iter().any(|inlet| inlet.queued() > HIGH) {
            if timeout(UNASKED_PONG, self.link.gauge.drained()).await.is_err() {
                self.link.outbox.pong(frames::frame(frames::PONG, &[]));
            }
        }
    }

    fn deliver(&self, input: &Input<'_>) {
        if let Input::Bytes { channel, bytes } = input
            && channel.is_multiple_of(2)
            && let Some(inlet) = self.inlets.get(usize::from(channel / 2))
        {
            self.link.data_moved();
            inlet.push(bytes);
        }
    }

    async fn forward(&self, at: usize, pod: &str, port: u16, backend: &impl Backend) {
        let channel = |number: usize| Outlet::Channel { link: self.link, number: number as u8, codec: self.codec };
        let (data, error) = (channel(2 * at), channel(2 * at + 1));
        data.say(port.to_le_bytes().to_vec());
        error.say(port.to_le_bytes().to_vec());
        match forward::dial(backend, pod, port).await {
            Err(told) => error.say(told.into_bytes()),
            // A connection that the application breaks is no failure of forwarding.
            Ok(app) => drop(forward::copy(self.link, &self.inlets[at], &data, app).await),
        }
        self.inlets[at].discard();
    }

    async fn close(&self) {
        if !self.link.gone.is_cancelled() {
            self.link.outbox.seal_raw(Frame::new(&[], frames::close(1000, "")));
            return self.link.linger().await;
        }
        let farewell = *self.farewell.lock().expect("no panic under this lock");
        self.link.outbox.seal(answer_to(farewell).map(|frame| Frame::new(&[], frame)));
    }
}
