// SPDX-License-Identifier: Apache-2.0
//! One call, from its headers to the end of its response: its span, the memory it holds, and its result.

use super::clients::Client;
use super::clients::open::Open;
use super::failures::{Failure, Failures};
use super::measures::Measures;
use super::method::Method;
use super::subject::{self, Subject};
use super::{span, trace};
use bytes::Bytes;
use http::{HeaderMap, Request};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;
use tonic::{Code, Status};
use tracing::Span;

/// Where all calls are recorded.
#[derive(Debug, Clone)]
pub struct Accounts {
    /// The log of failures.
    pub failures: Failures,
    /// The counters and durations.
    pub measures: Arc<Measures>,
}

/// One call. It lives until its request and its response are gone.
#[derive(Debug)]
pub struct Call {
    method: Method,
    begun: Instant,
    span: Span,
    request: Mutex<Beginning>,
    /// The headers of the response have been sent: from then on, a client that disconnects is not a failure.
    answered: AtomicBool,
    /// The result has been recorded.
    ended: AtomicBool,
    open: Option<Open>,
    accounts: Accounts,
}

/// The beginning of a request's body: kept until it is enough to say what the call is about.
#[derive(Debug)]
enum Beginning {
    Head(Vec<u8>),
    Known(Subject),
}

impl Call {
    /// Opens a call.
    pub fn begin<B>(request: &Request<B>, accounts: &Accounts) -> Arc<Self> {
        let path = request.uri().path();
        let method = Method::of_path(path);
        accounts.measures.opened(method);
        Arc::new(Self {
            method,
            begun: Instant::now(),
            span: span::open(method, path, trace::parent(request.headers())),
            request: Mutex::new(Beginning::Head(Vec::new())),
            answered: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            open: request.extensions().get::<Arc<Client>>().map(Open::begin),
            accounts: accounts.clone(),
        })
    }

    /// When the call began.
    pub fn begun(&self) -> Instant {
        self.begun
    }

    /// The span for everything that is done on behalf of the call.
    pub fn span(&self) -> &Span {
        &self.span
    }

    /// Takes note of a piece of the request that has arrived. The handler gets the message only when all of it is here, so the
    /// span says what the request is about before anything is logged in it.
    pub fn received(&self, piece: &Bytes) {
        self.open.iter().for_each(|open| open.hold(piece.len()));
        let mut request = self.request();
        let Beginning::Head(head) = &mut *request else { return };
        if head.is_empty() && subject::is_enough(piece) {
            // The usual case: the whole message is one piece, and nothing has to be copied.
            *request = self.known(piece);
            return;
        }
        let room = subject::LOOKED_AT.saturating_sub(head.len());
        head.extend_from_slice(&piece[..piece.len().min(room)]);
        if subject::is_enough(head) {
            let known = self.known(head);
            *request = known;
        }
    }

    fn known(&self, head: &[u8]) -> Beginning {
        let subject = subject::of(self.method, &head[..head.len().min(subject::LOOKED_AT)]);
        span::record(&self.span, &subject);
        Beginning::Known(subject)
    }

    fn request(&self) -> MutexGuard<'_, Beginning> {
        self.request.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a piece of the response that is being sent; the pieces before it have been sent.
    pub fn sending(&self, piece: &Bytes) {
        if let Some(open) = &self.open {
            open.release();
            open.hold(piece.len());
        }
    }

    /// Looks for the result in the headers or trailers of the response; `is_all` when nothing follows them.
    pub fn status_in(&self, headers: &HeaderMap, is_all: bool) {
        self.answered.store(true, Ordering::Relaxed);
        match Status::from_header_map(headers) {
            Some(status) => self.end(status.code(), status.message()),
            None if is_all => self.end(Code::Unknown, "the response has no status"),
            None => {}
        }
    }

    fn end(&self, code: Code, error: &str) {
        if self.ended.swap(true, Ordering::Relaxed) {
            return;
        }
        let took = self.begun.elapsed();
        self.accounts.measures.ended(self.method, code, took);
        // A client that has begun to read a response may stop at any time.
        let is_fine = code == Code::Ok || (code == Code::Cancelled && self.answered.load(Ordering::Relaxed));
        if is_fine {
            return;
        }
        let mut request = self.request();
        if let Beginning::Head(head) = &*request {
            let known = self.known(head);
            *request = known;
        }
        let Beginning::Known(subject) = &*request else { return };
        let failure = Failure { method: self.method, subject, code, error, took };
        self.span.in_scope(|| self.accounts.failures.log(&failure));
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.end(Code::Cancelled, "the client disconnected, or its deadline passed, before there was a response");
        self.accounts.measures.closed(self.method);
    }
}
