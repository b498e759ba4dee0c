// SPDX-License-Identifier: Apache-2.0
//! The layer around the two CRI services and gorae.v1. Handlers do not know of it.
//!
//! It counts each call while it is open, opens a span around everything that is logged on its behalf, gives its message a
//! time limit, measures its duration, and logs a line if it fails.

use super::bodies::{Message, Reply};
use super::call::{Accounts, Call};
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

/// Wraps services in `Watched`.
#[derive(Debug, Clone)]
pub struct Calls(Accounts);

impl Calls {
    /// A layer that records calls in `measures`.
    pub fn new(measures: Arc<Measures>) -> Self {
        Self(Accounts { failures: Failures::default(), measures })
    }
}

impl<S> Layer<S> for Calls {
    type Service = Watched<S>;

    fn layer(&self, service: S) -> Watched<S> {
        Watched { service, accounts: self.0.clone() }
    }
}

/// A service whose calls are counted, traced, limited and logged.
#[derive(Debug, Clone)]
pub struct Watched<S> {
    service: S,
    accounts: Accounts,
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
        let call = Call::begin(&request, &self.accounts);
        let span = call.span().clone();
        let of = call.clone();
        let answer = self.service.call(request.map(|body| Body::new(Message::new(body, of))));
        let answered = async move {
            let (head, body) = answer.await?.into_parts();
            call.status_in(&head.headers, body.is_end_stream());
            Ok(Response::from_parts(head, Body::new(Reply::new(body, call))))
        };
        Box::pin(answered.instrument(span))
    }
}
