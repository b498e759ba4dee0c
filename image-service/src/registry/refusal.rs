// SPDX-License-Identifier: Apache-2.0
//! Error responses of a host. They are read for a short time only, and shown without secrets.

use http::HeaderMap;
use http::header::RETRY_AFTER;
use reqwest::Response;
use std::time::Duration;

/// Most bytes of an error body that are read.
const MAX_DETAIL: usize = 16 << 10;
/// Longest pause that a registry may request.
const MAX_WISH: Duration = Duration::from_secs(60);

/// The pause that the host requests.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(MAX_WISH))
}

/// The beginning of an error body. Stops after five seconds, because the status is enough.
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

/// The code and message of the first error in a registry's error body, cleaned up for an event. Empty if the error echoes
/// the credentials that it was sent.
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
