// SPDX-License-Identifier: Apache-2.0
//! The two bodies of a call as they pass: every piece is counted, a request has to arrive in time, and the end of a response is
//! noticed.

use super::call::Call;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Sleep, sleep_until};
use tonic::Status;
use tonic::body::Body;

/// How long a request's message may take to arrive. A client has it ready, and it has 16 MiB at most.
pub const MESSAGE_LIMIT: Duration = Duration::from_secs(60);

/// The body of a request.
pub struct Message {
    body: Body,
    call: Arc<Call>,
    limit: Option<Pin<Box<Sleep>>>,
}

impl Message {
    /// The body of a call's request.
    pub fn new(body: Body, call: Arc<Call>) -> Self {
        Self { body, call, limit: None }
    }

    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        let end = self.call.begun() + MESSAGE_LIMIT;
        self.limit.get_or_insert_with(|| Box::pin(sleep_until(end))).as_mut().poll(cx).is_ready()
    }
}

impl HttpBody for Message {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Pending if this.is_late(cx) => {
                let why = format!("the request did not arrive in full within {} s", MESSAGE_LIMIT.as_secs());
                Poll::Ready(Some(Err(Status::deadline_exceeded(why))))
            }
            Poll::Ready(Some(Ok(frame))) => {
                frame.data_ref().into_iter().for_each(|piece| this.call.received(piece));
                Poll::Ready(Some(Ok(frame)))
            }
            other => other,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of a response.
pub struct Reply {
    body: Body,
    call: Arc<Call>,
}

impl Reply {
    /// The body of a call's response.
    pub fn new(body: Body, call: Arc<Call>) -> Self {
        Self { body, call }
    }
}

impl HttpBody for Reply {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let polled = this.call.span().in_scope(|| Pin::new(&mut this.body).poll_frame(cx));
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            frame.data_ref().into_iter().for_each(|piece| this.call.sending(piece));
            frame.trailers_ref().into_iter().for_each(|trailers| this.call.status_in(trailers, true));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
