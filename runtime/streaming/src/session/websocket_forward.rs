// SPDX-License-Identifier: Apache-2.0
//! Port forwarding over plain WebSocket channels: for the i-th port of the RPC, channel 2i carries its data and 2i+1
//! its error. Each port has one connection, opened with the session.

use super::connection::{self, Connection};
use super::forward;
use super::inlet::Inlet;
use super::link::Link;
use super::messages::Messages;
use super::outlet::Outlet;
use crate::backend::Backend;
use crate::websocket::channels::{Channels, HalfClose, Input};
use crate::websocket::protocol::Codec;
use futures_util::future::join_all;

struct Forwards<'l> {
    link: &'l Link,
    pod: &'l str,
    codec: Codec,
    messages: Messages<'l>,
    inlets: Vec<Inlet>,
}

/// Serves one upgraded connection to its end.
pub(crate) async fn serve(
    connection: Connection,
    link: &Link,
    (pod, ports): (&str, &[u16]),
    codec: Codec,
    backend: &impl Backend,
) {
    let (mut intake, mut socket) = connection.split();
    let inlets = ports.iter().map(|_| Inlet::new(&link.gauge)).collect();
    let forwards = Forwards { link, pod, codec, messages: Messages::new(link), inlets };
    let channels = Channels::new(codec, HalfClose::Unknown, |channel| channel.is_multiple_of(2));
    let (queued, deliver) = (|| forwards.queued(), |input: Input<'_>| forwards.deliver(&input));
    let reader = forwards.messages.pump(&mut intake, channels, queued, deliver);
    connection::drive(link, &mut socket, reader, forwards.run(ports, backend)).await;
    connection::close(link, intake, socket).await;
}

impl Forwards<'_> {
    /// Bytes that are queued for the slowest application.
    fn queued(&self) -> usize {
        self.inlets.iter().map(Inlet::queued).max().unwrap_or(0)
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

    async fn run(&self, ports: &[u16], backend: &impl Backend) {
        let all = join_all(ports.iter().enumerate().map(|(at, port)| self.forward(at, *port, backend)));
        tokio::select! {
            () = self.link.gone.cancelled() => {}
            () = self.link.shutdown.cancelled() => {}
            () = self.link.idle() => {}
            _ = all => {}
        }
        self.messages.close().await;
    }

    async fn forward(&self, at: usize, port: u16, backend: &impl Backend) {
        let channel = |number: usize| Outlet::Channel { link: self.link, number: number as u8, codec: self.codec };
        let (data, error) = (channel(2 * at), channel(2 * at + 1));
        data.say(port.to_le_bytes().to_vec());
        error.say(port.to_le_bytes().to_vec());
        match forward::dial(backend, self.pod, port).await {
            Err(told) => error.say(told.into_bytes()),
            // An application that breaks its connection is not a failure of forwarding.
            Ok(app) => drop(forward::copy(self.link, &self.inlets[at], &data, app).await),
        }
        self.inlets[at].discard();
    }
}
