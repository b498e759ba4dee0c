// SPDX-License-Identifier: Apache-2.0
//! The layer around both CRI services and gorae.v1: each call is counted while it is open, has a span that everything
//! logged on its behalf is in, its message has to come in time, its end is measured, and a failure has its line in the
//! log. Handlers know nothing of it.

use super::bodies::{Answer, Message};
use super::call::{Books, Call};
use super::failures::Failures;
use super::measures::Measures;
use http::{Request, Response};
use hyper::body::Body as _;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tonic::body::Body;
use tower::{Layer, Service};
use tracing::Instrument;

/// Puts all this around a service.
#[derive(Debug, Clone)]
pub struct Calls(Books);

impl Calls {
    /// A layer that counts in `measures`.
    pub fn new(measures: Arc<Measures>) -> Self {
        Self(Books { failures: Failures::default(), measures })
    }
}

impl<S> Layer<S> for Calls {
    type Service = Watched<S>;

    fn layer(&self, service: S) -> Watched<S> {
        Watched { service, books: self.0.clone() }
    }
}

/// A service with all this around it.
#[derive(Debug, Clone)]
pub struct Watched<S> {
    service: S,
    books: Books,
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
        let call = Call::begin(&request, &self.books);
        let span = call.span().clone();
        let of = call.clone();
        let answer = self.service.call(request.map(|body| Body::new(Message::new(body, of))));
        let answered = async move {
            let (head, body) = answer.await?.into_parts();
            call.says(&head.headers, body.is_end_stream());
            Ok(Response::from_parts(head, Body::new(Answer::new(body, call))))
        };
        Box::pin(answered.instrument(span))
    }
}
