// SPDX-License-Identifier: Apache-2.0
//! The three paths, and what each kind of peer may do there. Any other path is not found.

use super::listen::Peer;
use super::sources::Sources;
use super::{host, log_level, page};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};

/// A complete response.
pub type Answer = Response<Full<Bytes>>;

const TEXT: &str = "text/plain; charset=utf-8";
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Answers a request.
pub async fn answer(request: Request<Incoming>, peer: Peer, sources: &Sources) -> Answer {
    if peer == Peer::Anyone && !host::is_this_machine(request.uri(), request.headers()) {
        return text(StatusCode::FORBIDDEN, "the host of a request must be localhost or a loopback address\n");
    }
    match (request.uri().path(), request.method()) {
        ("/metrics", &Method::GET) => of_type(METRICS, StatusCode::OK, page::write(sources).await),
        ("/healthz", &Method::GET) => health(sources).await,
        ("/log-level", &Method::GET) => text(StatusCode::OK, format!("{}\n", *sources.log_level().borrow())),
        ("/log-level", &(Method::PUT | Method::POST)) => set_level(request, peer, sources).await,
        ("/metrics" | "/healthz", _) => not_allowed("GET"),
        ("/log-level", _) => not_allowed("GET, PUT, POST"),
        _ => text(StatusCode::NOT_FOUND, "the paths are /metrics, /healthz and /log-level\n"),
    }
}

/// One line for each check: its name, then "ok" or what is wrong.
async fn health(sources: &Sources) -> Answer {
    let findings = sources.health().await;
    let is_fine = findings.iter().all(|finding| finding.result.is_ok());
    let line = |finding: &crate::health::Finding| match &finding.result {
        Ok(()) => format!("{} ok\n", finding.check),
        Err(why) => format!("{} failed: {}\n", finding.check, why.replace('\n', " ")),
    };
    let status = if is_fine { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    text(status, findings.iter().map(line).collect::<String>())
}

async fn set_level(request: Request<Incoming>, peer: Peer, sources: &Sources) -> Answer {
    if peer == Peer::Anyone {
        let why = "the level cannot be set here, because any user of this machine can connect: set admin.listen to a \
                   unix socket, or change log_level in the configuration and send SIGHUP\n";
        return text(StatusCode::FORBIDDEN, why);
    }
    let Ok(body) = Limited::new(request.into_body(), log_level::LONGEST).collect().await else {
        return text(StatusCode::PAYLOAD_TOO_LARGE, "the body must be a log level, such as \"debug\"\n");
    };
    match log_level::set(&body.to_bytes(), sources.log(), sources.log_level()) {
        Ok((old, new)) => text(StatusCode::OK, format!("{old} -> {new}\n")),
        Err(why) => text(StatusCode::BAD_REQUEST, format!("{why}\n")),
    }
}

fn not_allowed(methods: &'static str) -> Answer {
    let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, format!("allowed methods: {methods}\n"));
    answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static(methods));
    answer
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    of_type(TEXT, status, body)
}

fn of_type(kind: &'static str, status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}
