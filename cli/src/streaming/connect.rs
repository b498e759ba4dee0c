// SPDX-License-Identifier: Apache-2.0
//! The WebSocket to the daemon's streaming server.

use anyhow::{Context, Result, bail};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::{WebSocketStream, client_async};

/// Opens a WebSocket that offers exactly one subprotocol.
///
/// # Errors
/// When the URL is not valid, the server cannot be reached, or it refuses; the error then contains its response.
pub async fn connect(url: &str, protocol: &'static str) -> Result<WebSocketStream<TcpStream>> {
    let mut request = url.replacen("http://", "ws://", 1).into_client_request().context("read the streaming URL")?;
    let (host, port) = (request.uri().host().map(str::to_owned), request.uri().port_u16());
    let host = host.context("the streaming URL has no host")?;
    let stream = TcpStream::connect((host.trim_matches(['[', ']']), port.unwrap_or(80)));
    let stream = stream.await.with_context(|| format!("connect to the streaming server at {host}"))?;
    stream.set_nodelay(true).context("set up the connection to the streaming server")?;
    request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static(protocol));
    match client_async(request, stream).await {
        Ok((socket, _)) => Ok(socket),
        Err(tungstenite::Error::Http(answer)) => {
            let text = answer.body().as_deref().map(String::from_utf8_lossy).unwrap_or_default();
            bail!("the streaming server refused: {} {}", answer.status(), text.trim())
        }
        Err(error) => Err(error).context("upgrade the connection to the streaming server"),
    }
}
