// SPDX-License-Identifier: Apache-2.0
//! Maps HTTP requests to upgrades: `/exec/TOKEN`, `/attach/TOKEN` and `/portforward/TOKEN`, GET or POST.
//!
//! Host, Origin and all other headers are from the original client, forwarded by kubelet, and are ignored.

use crate::tokens::Tokens;
use crate::upgrade::{Transport, Upgrade, Wanted};
use crate::websocket::protocol::{self, Version};
use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::header::{CONNECTION, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

const STREAM_PROTOCOL: HeaderName = HeaderName::from_static("x-stream-protocol-version");
const ACCEPTED_PROTOCOLS: HeaderName = HeaderName::from_static("x-accepted-stream-protocol-versions");

const STDIO: &[(&str, Version)] = &[
    ("v4.channel.k8s.io", Version::V4),
    ("v3.channel.k8s.io", Version::V3),
    ("v2.channel.k8s.io", Version::V2),
    ("channel.k8s.io", Version::V1),
];
const FORWARD: &[(&str, Version)] = &[("portforward.k8s.io", Version::V4)];

type Answer = Response<Full<Bytes>>;

/// A refusal. Clients see the whole of it.
#[derive(Debug)]
struct Refused {
    status: StatusCode,
    text: &'static str,
    headers: Vec<(HeaderName, &'static str)>,
}

impl Refused {
    fn new(status: StatusCode, text: &'static str) -> Self {
        Self { status, text, headers: Vec::new() }
    }

    fn response(self) -> Answer {
        let mut response = Response::new(Full::new(Bytes::from(format!("{}\n", self.text))));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        for (name, value) in self.headers {
            headers.append(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// Answers a request; the session follows if the response is a 101. The token is used up either way.
pub(super) fn answer(request: &mut Request<Incoming>, tokens: &Tokens<Wanted>) -> (Answer, Option<Upgrade>) {
    match switch(request, tokens) {
        Err(refused) => (refused.response(), None),
        Ok((response, wanted, transport)) => (response, Some(Upgrade::new(request, wanted, transport))),
    }
}

fn switch(request: &Request<Incoming>, tokens: &Tokens<Wanted>) -> Result<(Answer, Wanted, Transport), Refused> {
    let unknown = || Refused::new(StatusCode::NOT_FOUND, "no such stream, or its token was used or has expired");
    let (path, token) = request.uri().path().trim_start_matches('/').split_once('/').ok_or_else(unknown)?;
    if !["exec", "attach", "portforward"].contains(&path) {
        return Err(unknown());
    }
    if ![Method::GET, Method::POST].contains(request.method()) {
        let refused = Refused::new(StatusCode::METHOD_NOT_ALLOWED, "only GET and POST are allowed");
        return Err(Refused { headers: vec![(ALLOW, "GET, POST")], ..refused });
    }
    let wanted = tokens.redeem(token).filter(|wanted| wanted.path() == path).ok_or_else(unknown)?;
    let is_websocket = is_websocket(request.headers());
    let (answer, transport) =
        if is_websocket { websocket(request, &wanted)? } else { spdy(request.headers(), &wanted)? };
    Ok((answer, wanted, transport))
}

fn texts<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> + use<'h> {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok())
}

/// The items of a header: repeating the header and listing items with commas are equivalent.
fn list<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> + use<'h> {
    texts(headers, name).flat_map(|value| value.split(',')).map(str::trim).filter(|item| !item.is_empty())
}

fn contains(headers: &HeaderMap, name: &HeaderName, part: &str) -> bool {
    texts(headers, name).any(|value| value.to_ascii_lowercase().contains(part))
}

fn is_websocket(headers: &HeaderMap) -> bool {
    let upgrade = texts(headers, &UPGRADE).any(|value| value.eq_ignore_ascii_case("websocket"));
    upgrade && contains(headers, &CONNECTION, "upgrade")
}

fn switching(upgrade: &'static str) -> Answer {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    response.headers_mut().insert(UPGRADE, HeaderValue::from_static(upgrade));
    response
}

fn spdy(headers: &HeaderMap, wanted: &Wanted) -> Result<(Answer, Transport), Refused> {
    let supported = if matches!(wanted, Wanted::Forward { .. }) { FORWARD } else { STDIO };
    let mut offered = list(headers, &STREAM_PROTOCOL).peekable();
    if offered.peek().is_none() {
        return Err(Refused::new(StatusCode::BAD_REQUEST, "X-Stream-Protocol-Version is missing"));
    }
    let find = |name: &str| supported.iter().find(|(known, _)| *known == name);
    let Some((name, version)) = offered.find_map(find) else {
        let refused = Refused::new(StatusCode::FORBIDDEN, "none of the offered stream protocols is supported");
        let accepted = supported.iter().map(|(name, _)| (ACCEPTED_PROTOCOLS, *name)).collect();
        return Err(Refused { headers: accepted, ..refused });
    };
    if !contains(headers, &CONNECTION, "upgrade") || !contains(headers, &UPGRADE, "spdy/3.1") {
        return Err(Refused::new(StatusCode::BAD_REQUEST, "not an upgrade to SPDY/3.1 or WebSocket"));
    }
    let mut response = switching("SPDY/3.1");
    response.headers_mut().insert(STREAM_PROTOCOL, HeaderValue::from_static(name));
    Ok((response, Transport::Spdy(*version)))
}

fn websocket(request: &Request<Incoming>, wanted: &Wanted) -> Result<(Answer, Transport), Refused> {
    let headers = request.headers();
    if request.method() != Method::GET {
        let refused = Refused::new(StatusCode::METHOD_NOT_ALLOWED, "a WebSocket starts with GET");
        return Err(Refused { headers: vec![(ALLOW, "GET")], ..refused });
    }
    if texts(headers, &SEC_WEBSOCKET_VERSION).next().map(str::trim) != Some("13") {
        let refused = Refused::new(StatusCode::BAD_REQUEST, "Sec-WebSocket-Version is not 13");
        return Err(Refused { headers: vec![(SEC_WEBSOCKET_VERSION, "13")], ..refused });
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).filter(|key| !key.is_empty());
    let key = key.ok_or_else(|| Refused::new(StatusCode::BAD_REQUEST, "Sec-WebSocket-Key is missing"))?;
    let supported = if matches!(wanted, Wanted::Forward { .. }) { protocol::FORWARD } else { protocol::STDIO };
    let protocol = protocol::choose(supported, list(headers, &SEC_WEBSOCKET_PROTOCOL))
        .ok_or_else(|| Refused::new(StatusCode::FORBIDDEN, "none of the offered subprotocols is supported"))?;
    if let Wanted::Forward { ports, .. } = wanted
        && !protocol.tunnel
        && ports.len() > protocol.codec.most_ports()
    {
        return Err(Refused::new(StatusCode::BAD_REQUEST, "too many ports for one WebSocket"));
    }
    let mut response = switching("websocket");
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes())).expect("base64 fits a header");
    response.headers_mut().insert(SEC_WEBSOCKET_ACCEPT, accept);
    if !protocol.name.is_empty() {
        response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol.name));
    }
    Ok((response, Transport::WebSocket(protocol)))
}
