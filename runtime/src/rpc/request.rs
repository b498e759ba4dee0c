// SPDX-License-Identifier: Apache-2.0
//! Around every request: it is counted while it is open, its message has to come in time, and a failure has its line in
//! the log. Handlers know nothing of it.

use super::clients::{Client, Open};
use super::failures::{Failure, Failures};
use super::subject;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, Uri};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};

/// How long a request's message may take: clients have it at hand, and it has 16 MiB at most.
pub const MESSAGE_LIMIT: Duration = Duration::from_secs(60);

/// Puts all this around a service.
#[derive(Debug, Clone, Default)]
pub struct Requests(Failures);

impl<S> Layer<S> for Requests {
    type Service = Watched<S>;

    fn layer(&self, service: S) -> Watched<S> {
        Watched { service, failures: self.0.clone() }
    }
}

/// A service with all this around it.
#[derive(Debug, Clone)]
pub struct Watched<S> {
    service: S,
    failures: Failures,
}

impl<S> Service<Request<Body>> for Watched<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let call = Arc::new(Call {
            uri: request.uri().clone(),
            begun: Instant::now(),
            head: Mutex::default(),
            told: AtomicBool::new(false),
            open: request.extensions().get::<Arc<Client>>().map(|client| client.open()),
            failures: self.failures.clone(),
        });
        let of = call.clone();
        let answer = self.service.call(request.map(|body| Body::new(Message { body, call: of, limit: None })));
        Box::pin(async move {
            let (head, body) = answer.await?.into_parts();
            call.said(&head.headers, body.is_end_stream());
            Ok(Response::from_parts(head, Body::new(Answer { body, call })))
        })
    }
}

/// One request, as long as anything of it is there.
#[derive(Debug)]
struct Call {
    uri: Uri,
    begun: Instant,
    /// The beginning of its body.
    head: Mutex<Vec<u8>>,
    /// Its end, or the beginning of its answer, is known: the client's leaving is not a failure any more.
    told: AtomicBool,
    open: Option<Open>,
    failures: Failures,
}

impl Call {
    /// A piece of the message has come.
    fn takes(&self, piece: &Bytes) {
        self.open.iter().for_each(|open| open.hold(piece.len()));
        let mut head = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        let room = subject::LOOKED_AT - head.len();
        head.extend_from_slice(&piece[..piece.len().min(room)]);
    }

    /// A piece of the answer goes out; those before it have gone.
    fn gives(&self, piece: &Bytes) {
        if let Some(open) = &self.open {
            open.release();
            open.hold(piece.len());
        }
    }

    /// What the headers or trailers of the answer say.
    fn said(&self, headers: &HeaderMap, is_all: bool) {
        match Status::from_header_map(headers) {
            Some(status) if status.code() != Code::Ok => self.failed(status.code(), status.message()),
            None if is_all => self.failed(Code::Unknown, "the answer has no status"),
            _ => self.told.store(true, Ordering::Relaxed),
        }
    }

    fn failed(&self, code: Code, error: &str) {
        self.told.store(true, Ordering::Relaxed);
        let head = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        let method: String = self.uri.path().rsplit('/').next().unwrap_or_default().chars().take(64).collect();
        let subject = subject::of(&method, &head);
        self.failures.tell(&Failure { method: &method, subject, code, error, took: self.begun.elapsed() });
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.told.load(Ordering::Relaxed) {
            self.failed(Code::Cancelled, "the client went away, or its deadline passed, before there was an answer");
        }
    }
}

/// The body of a request.
struct Message {
    body: Body,
    call: Arc<Call>,
    limit: Option<Pin<Box<Sleep>>>,
}

impl Message {
    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        let end = self.call.begun + MESSAGE_LIMIT;
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
                let why = format!("the request did not come whole within {} s", MESSAGE_LIMIT.as_secs());
                Poll::Ready(Some(Err(Status::deadline_exceeded(why))))
            }
            Poll::Ready(Some(Ok(frame))) => {
                frame.data_ref().into_iter().for_each(|piece| this.call.takes(piece));
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

/// The body of an answer.
struct Answer {
    body: Body,
    call: Arc<Call>,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            frame.data_ref().into_iter().for_each(|piece| this.call.gives(piece));
            frame.trailers_ref().into_iter().for_each(|trailers| this.call.said(trailers, true));
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
