// SPDX-License-Identifier: Apache-2.0
//! The trace that a call belongs to, from its header `traceparent`. kubelet sends one when its tracing is on.
//!
//! The header is parsed strictly. A malformed one counts as absent, and nothing but its two ids reaches the log.

use http::HeaderMap;

/// The header's name.
const HEADER: &str = "traceparent";
/// `00-TRACE-PARENT-FLAGS`: two digits, 32, 16 and two, with dashes between them.
const LENGTH: usize = 55;

/// The span on whose behalf a client makes a call.
///
/// - Shapes: hexadecimal digits in lower case, neither of them all zeros.
/// - Source: W3C Trace Context, section 3.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent<'a> {
    /// The trace, 32 digits.
    pub trace_id: &'a str,
    /// The client's own span in the trace, 16 digits.
    pub parent_id: &'a str,
}

/// The trace parent of a call; `None` when there is none, more than one, or a malformed one.
pub fn parent(headers: &HeaderMap) -> Option<TraceParent<'_>> {
    let mut values = headers.get_all(HEADER).iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None;
    }
    parse(value)
}

fn parse(value: &str) -> Option<TraceParent<'_>> {
    // Later versions may append fields, which are ignored.
    let (known, more) = value.split_at_checked(LENGTH)?;
    let mut parts = known.split('-');
    let (version, trace_id, parent_id, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let fits = |part: &str, digits: usize| part.len() == digits && part.bytes().all(is_digit);
    let is_set = |part: &str| part.bytes().any(|digit| digit != b'0');
    let is_well_formed = parts.next().is_none()
        && fits(version, 2)
        && fits(trace_id, 32)
        && fits(parent_id, 16)
        && fits(flags, 2)
        && is_set(trace_id)
        && is_set(parent_id);
    let is_supported = match version {
        "ff" => false,
        "00" => more.is_empty(),
        _ => more.is_empty() || more.starts_with('-'),
    };
    (is_well_formed && is_supported).then_some(TraceParent { trace_id, parent_id })
}

fn is_digit(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const PARENT: &str = "00f067aa0ba902b7";

    #[test]
    fn a_trace_parent_is_accepted_only_when_it_is_well_formed() {
        let good = format!("00-{TRACE}-{PARENT}-01");
        let wanted = Some(TraceParent { trace_id: TRACE, parent_id: PARENT });
        assert_eq!(parse(&good), wanted);
        assert_eq!(parse(&format!("00-{TRACE}-{PARENT}-00")), wanted, "not sampled");
        assert_eq!(parse(&format!("cc-{TRACE}-{PARENT}-01-what the future brings")), wanted);
        for bad in [
            String::new(),
            good[..54].to_owned(),
            format!("{good}-more"),
            format!("{good} "),
            format!("ff-{TRACE}-{PARENT}-01"),
            format!("cc-{TRACE}-{PARENT}-01.more"),
            good.to_uppercase(),
            good.replace('4', "g"),
            good.replace('-', "_"),
            format!("00-{}-{PARENT}-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{TRACE}{PARENT}---01"),
            format!("00-{TRACE}-{PARENT}-0ä"),
            "ä".repeat(55),
        ] {
            assert_eq!(parse(&bad), None, "{bad}");
        }
    }

    #[test]
    fn two_trace_parents_count_as_none() {
        let mut headers = HeaderMap::new();
        assert_eq!(parent(&headers), None);
        let value = format!("00-{TRACE}-{PARENT}-01");
        headers.append(HEADER, value.parse().expect("plain"));
        assert_eq!(parent(&headers).map(|parent| parent.trace_id), Some(TRACE));
        headers.append(HEADER, value.parse().expect("plain"));
        assert_eq!(parent(&headers), None);
    }
}
