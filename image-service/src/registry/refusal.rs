// SPDX-License-Identifier: Apache-2.0
//! What a host says when it refuses. It is read for a short time only, and shown without secrets.

use http::HeaderMap;
use http::header::RETRY_AFTER;
use reqwest::Response;
use std::time::Duration;

/// Most of an error body that is read.
const MAX_DETAIL: usize = 16 << 10;
/// A registry's request for a pause is granted up to this.
const MAX_WISH: Duration = Duration::from_secs(60);

/// The pause that the host asks for.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(MAX_WISH))
}

/// The beginning of an error body. Gives up after five seconds, because the status says enough.
pub async fn error_body(mut answer: Response) -> Vec<u8> {
    let mut body = Vec::new();
    let reading = async {
        while let Ok(Some(chunk)) = answer.chunk().await {
            body.extend_from_slice(&chunk[..chunk.len().min(MAX_DETAIL - body.len())]);
            if body.len() >= MAX_DETAIL {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(5), reading).await;
    body
}

/// The first error of a registry's error body: its code and message, without what does not belong in an event. Empty for
/// an error that echoes the credentials it was sent.
pub fn detail(body: &[u8], secrets: &[String]) -> String {
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(body) else { return String::new() };
    let text = |key: &str| value["errors"][0][key].as_str().unwrap_or("");
    if secrets.iter().any(|secret| text("code").contains(secret) || text("message").contains(secret)) {
        return String::new();
    }
    let clean = |text: &str| -> String {
        let words = text.split_whitespace().map(|word| word.split(['?', '#']).next().unwrap_or(""));
        words.collect::<Vec<_>>().join(" ").chars().filter(|c| !c.is_control()).take(160).collect()
    };
    match (clean(text("code")), clean(text("message"))) {
        (code, message) if code.is_empty() && message.is_empty() => String::new(),
        (code, message) => format!(" ({code}: {message})"),
    }
}
