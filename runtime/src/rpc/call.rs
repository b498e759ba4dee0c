// SPDX-License-Identifier: Apache-2.0
//! One call, from its headers to the last of its answer: its span, what it holds, and how it ends.

use super::clients::{Client, Open};
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

/// What all calls share.
#[derive(Debug, Clone)]
pub struct Books {
    /// The log of failures.
    pub failures: Failures,
    /// The numbers.
    pub measures: Arc<Measures>,
}

/// One call, as long as anything of it is there.
#[derive(Debug)]
pub struct Call {
    method: Method,
    begun: Instant,
    span: Span,
    request: Mutex<Beginning>,
    /// The beginning of its answer is on its way: the client's leaving is not a failure any more.
    answered: AtomicBool,
    /// How it ended is known.
    ended: AtomicBool,
    open: Option<Open>,
    books: Books,
}

/// The beginning of a request's body, until it was looked at.
#[derive(Debug)]
enum Beginning {
    Head(Vec<u8>),
    Known(Subject),
}

impl Call {
    /// A call begins.
    pub fn begin<B>(request: &Request<B>, books: &Books) -> Arc<Self> {
        let path = request.uri().path();
        let method = Method::of_path(path);
        books.measures.begun(method);
        Arc::new(Self {
            method,
            begun: Instant::now(),
            span: span::open(method, path, trace::parent(request.headers())),
            request: Mutex::new(Beginning::Head(Vec::new())),
            answered: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            open: request.extensions().get::<Arc<Client>>().map(|client| client.open()),
            books: books.clone(),
        })
    }

    /// When it began.
    pub fn begun(&self) -> Instant {
        self.begun
    }

    /// Its span, for everything that is done on its behalf.
    pub fn span(&self) -> &Span {
        &self.span
    }

    /// A piece of the request has come. The handler sees no message before all pieces of it were here: from then on the
    /// span has what the request is about.
    pub fn takes(&self, piece: &Bytes) {
        self.open.iter().for_each(|open| open.hold(piece.len()));
        let mut request = self.request();
        let Beginning::Head(head) = &mut *request else { return };
        if head.is_empty() && subject::is_enough(piece) {
            // The usual case: one piece, of which nothing has to be kept.
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

    /// A piece of the answer goes out; those before it have gone.
    pub fn gives(&self, piece: &Bytes) {
        if let Some(open) = &self.open {
            open.release();
            open.hold(piece.len());
        }
    }

    /// What the headers or trailers of the answer say; `is_all` when nothing follows them.
    pub fn says(&self, headers: &HeaderMap, is_all: bool) {
        self.answered.store(true, Ordering::Relaxed);
        match Status::from_header_map(headers) {
            Some(status) => self.ends(status.code(), status.message()),
            None if is_all => self.ends(Code::Unknown, "the answer has no status"),
            None => {}
        }
    }

    fn ends(&self, code: Code, error: &str) {
        if self.ended.swap(true, Ordering::Relaxed) {
            return;
        }
        let took = self.begun.elapsed();
        self.books.measures.ended(self.method, code, took);
        // A client that has begun to read its answer may leave when it likes.
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
        self.span.in_scope(|| self.books.failures.tell(&failure));
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.ends(Code::Cancelled, "the client went away, or its deadline passed, before there was an answer");
        self.books.measures.left(self.method);
    }
}
