// SPDX-License-Identifier: Apache-2.0
//! Decides whether a response is the rest of a blob whose download broke. Unless that is certain, it is not appended.

use crate::registry::error::Failure;
use http::header::{CONTENT_RANGE, ETAG, LAST_MODIFIED};
use http::{HeaderMap, HeaderName, StatusCode};
use reqwest::Response;

/// The version of a blob, as the host reports it. Responses may be joined only if they have the same version.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Validator {
    etag: Option<String>,
    modified: Option<String>,
}

impl Validator {
    fn of(headers: &HeaderMap) -> Self {
        let text = |name: HeaderName| Some(headers.get(name)?.to_str().ok()?.trim_start_matches("W/").to_owned());
        Self { etag: text(ETAG), modified: text(LAST_MODIFIED) }
    }

    fn contradicts(&self, other: &Self) -> bool {
        match (&self.etag, &other.etag) {
            (Some(one), Some(two)) => one != two,
            _ => self.modified.is_some() && other.modified.is_some() && self.modified != other.modified,
        }
    }
}

/// How many bytes of a response precede byte `offset` of the blob. `known` is the version in earlier responses; it is set
/// to the one in this response.
///
/// # Errors
/// `Rest` if the rest was requested and this is not it; `Passing` if the whole was requested and this is a part.
pub fn bytes_to_skip(answer: &Response, offset: u64, size: u64, known: &mut Validator) -> Result<u64, Failure> {
    let now = Validator::of(answer.headers());
    let is_part = answer.status() == StatusCode::PARTIAL_CONTENT;
    let range = answer.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
    let why = |what: &str| format!("requested the rest, but {what}");
    let odd = |what: &str| Err(Failure::Rest { why: why(what), no_parts: false });
    let unable = |what: &str| Err(Failure::Rest { why: why(what), no_parts: true });
    if offset == 0 {
        let whole = !is_part || range.and_then(start_and_total).is_some_and(|(start, _)| start == 0);
        *known = now;
        let why = || "requested the whole blob, but it sent a part".to_owned();
        return if whole { Ok(0) } else { Err(Failure::Passing { why: why(), after: None }) };
    }
    if !is_part {
        return unable(&format!("it responded with {}", answer.status().as_u16()));
    }
    let Some((start, total)) = range.and_then(start_and_total) else {
        return unable("it sent a part without a valid range");
    };
    if known.contradicts(&now) {
        return odd("it sent a part of a different blob: its validator changed");
    }
    if start > offset || total.is_some_and(|total| total != size) {
        return unable("it sent a different part");
    }
    *known = now;
    Ok(offset - start)
}

/// Parses `bytes 5-9/10` into 5 and 10. The total may be unknown.
fn start_and_total(range: &str) -> Option<(u64, Option<u64>)> {
    let (span, total) = range.trim().strip_prefix("bytes ")?.trim().split_once('/')?;
    let start = span.split_once('-')?.0.trim().parse().ok()?;
    let total = total.trim();
    if total == "*" { Some((start, None)) } else { Some((start, Some(total.parse().ok()?))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)]) -> Response {
        let answer = http::Response::builder().status(status);
        let answer = headers.iter().fold(answer, |answer, (name, value)| answer.header(*name, *value));
        answer.body("").unwrap().into()
    }

    fn part(range: &str) -> Response {
        answer(206, &[("content-range", range), ("etag", "\"a\"")])
    }

    #[test]
    fn the_rest_is_taken_from_where_it_begins() {
        for (range, skip) in [("bytes 5-9/10", 0), ("bytes 5-9/*", 0), ("bytes 0-9/10", 5), ("bytes 3-9/10", 2)] {
            let skipped = bytes_to_skip(&part(range), 5, 10, &mut Validator::default());
            assert_eq!(skipped.ok(), Some(skip), "{range}");
        }
    }

    #[test]
    fn anything_else_than_the_rest_is_odd() {
        for odd in [
            answer(200, &[]),
            answer(206, &[]),
            part("bytes 6-9/10"),
            part("bytes 5-9/11"),
            part("bytes 5-9"),
            part("items 5-9/10"),
            part("bytes */10"),
            part("5-9/10"),
            answer(206, &[("content-range", "bytes 5-9/10"), ("etag", "\"b\"")]),
            answer(206, &[("content-range", "bytes 5-9/10"), ("etag", "W/\"b\"")]),
            answer(206, &[("content-range", "bytes 5-9/10"), ("last-modified", "Tue")]),
        ] {
            let mut known = Validator::default();
            let first = answer(200, &[("etag", "\"a\""), ("last-modified", "Mon")]);
            assert_eq!(bytes_to_skip(&first, 0, 10, &mut known).ok(), Some(0));
            let judged = bytes_to_skip(&odd, 5, 10, &mut known);
            assert!(matches!(judged, Err(Failure::Rest { .. })), "{odd:?}: {judged:?}");
        }
    }

    #[test]
    fn a_part_is_not_the_whole() {
        let judge = |answer: &Response| bytes_to_skip(answer, 0, 10, &mut Validator::default());
        assert!(matches!(judge(&part("bytes 0-9/10")), Ok(0)));
        for odd in [part("bytes 5-9/10"), answer(206, &[])] {
            assert!(matches!(judge(&odd), Err(Failure::Passing { .. })));
        }
    }
}
