// SPDX-License-Identifier: Apache-2.0
//! Counts and durations of calls, by method and by result. Labels are only the methods and codes that exist, whatever
//! clients send.
//!
//! Streams are measured as clients see them. The duration of a stream that returns a list ends with its last message. A stream
//! that stays open until its client closes it (events, the progress of a pull) is counted when it ends and has no
//! duration. If a client disconnects in the middle of a response, the call counts as canceled.

use super::method::{Kind, METHODS, Method};
use crate::metrics::{self, Histogram, Page};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tonic::Code;

/// The names of the codes as other gRPC implementations write them, in numerical order.
const CODES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];

/// The counters and durations of all methods.
#[derive(Debug)]
pub struct Measures(Box<[OfMethod]>);

#[derive(Debug, Default)]
struct OfMethod {
    in_flight: AtomicU64,
    handled: [AtomicU64; CODES.len()],
    durations: Histogram,
}

impl Default for Measures {
    fn default() -> Self {
        Self((0..METHODS).map(|_| OfMethod::default()).collect())
    }
}

impl Measures {
    /// Records that a call was opened; [`Self::closed`] must follow.
    pub fn opened(&self, method: Method) {
        self.0[method.index()].in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// Records that a call's request and response are gone.
    pub fn closed(&self, method: Method) {
        self.0[method.index()].in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// Records the result of a call.
    pub fn ended(&self, method: Method, code: Code, took: Duration) {
        let of = &self.0[method.index()];
        let handled = usize::try_from(i32::from(code)).ok().and_then(|number| of.handled.get(number));
        handled.unwrap_or(&of.handled[Code::Unknown as usize]).fetch_add(1, Ordering::Relaxed);
        if method.kind() != Kind::Watches {
            of.durations.add(took);
        }
    }

    /// Writes the metric families. Methods and codes that have not occurred are left out.
    pub fn write(&self, page: &mut Page) {
        let all = || Method::all().zip(&self.0);
        let name = "gorae_rpc_handled_total";
        page.family(name, metrics::Kind::Counter, "Calls that have ended, by method and gRPC code.");
        for (method, of) in all() {
            for (code, count) in CODES.iter().zip(&of.handled) {
                let count = count.load(Ordering::Relaxed);
                if count > 0 {
                    page.sample(name, &[("method", method.name()), ("code", code)], count);
                }
            }
        }
        let name = "gorae_rpc_duration_seconds";
        page.family(name, metrics::Kind::Histogram, "Duration of calls, up to the end of their response.");
        for (method, of) in all().filter(|(_, of)| of.durations.count() > 0) {
            of.durations.write(page, name, ("method", method.name()));
        }
        let in_flight = all().map(|(_, of)| of.in_flight.load(Ordering::Relaxed)).sum::<u64>();
        let open = all().filter(|(method, _)| method.kind() == Kind::Watches);
        let open = open.map(|(_, of)| of.in_flight.load(Ordering::Relaxed)).sum::<u64>();
        let help = "Calls in flight, without the streams that stay open until their client closes them.";
        page.single("gorae_rpc_in_flight", metrics::Kind::Gauge, help, in_flight.saturating_sub(open));
        page.single("gorae_rpc_streams_open", metrics::Kind::Gauge, "Open streams of events and pull progress.", open);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn method(name: &str) -> Method {
        Method::all().find(|method| method.name() == name).expect("known")
    }

    fn page(measures: &Measures) -> String {
        let mut page = Page::default();
        measures.write(&mut page);
        page.into_text()
    }

    #[test]
    fn calls_are_counted_by_method_and_code_and_only_those_that_occurred() {
        let measures = Measures::default();
        assert_eq!(page(&measures).lines().filter(|line| !line.starts_with('#')).count(), 2, "nothing but gauges");
        for _ in 0..2 {
            measures.ended(method("Version"), Code::Ok, Duration::from_micros(300));
        }
        measures.ended(Method::of_path("/made/up"), Code::Unimplemented, Duration::ZERO);
        measures.opened(method("GetContainerEvents"));
        measures.opened(method("PullImage"));
        measures.ended(method("PullProgress"), Code::Cancelled, Duration::from_secs(900));
        let text = page(&measures);
        for line in [
            "gorae_rpc_handled_total{method=\"Version\",code=\"OK\"} 2",
            "gorae_rpc_handled_total{method=\"other\",code=\"Unimplemented\"} 1",
            "gorae_rpc_handled_total{method=\"PullProgress\",code=\"Canceled\"} 1",
            "gorae_rpc_duration_seconds_bucket{method=\"Version\",le=\"0.0005\"} 2",
            "gorae_rpc_duration_seconds_count{method=\"Version\"} 2",
            "gorae_rpc_in_flight 1",
            "gorae_rpc_streams_open 1",
        ] {
            assert!(text.contains(&format!("{line}\n")), "{line} is not in\n{text}");
        }
        assert!(!text.contains("duration_seconds_count{method=\"PullProgress\"}"), "such a stream has no duration");
        measures.closed(method("PullImage"));
        assert!(page(&measures).contains("gorae_rpc_in_flight 0\n"));
    }

    #[test]
    fn each_code_is_at_its_number() {
        for (number, name) in (0..).zip(CODES) {
            let ours = format!("{:?}", Code::from_i32(number)).replace("Cancelled", "Canceled").replace("Ok", "OK");
            assert_eq!(ours, name);
        }
    }

    #[test]
    fn counting_a_call_takes_well_under_a_microsecond() {
        let (measures, count) = (Measures::default(), 10_000_u32);
        let round = || {
            let begun = std::time::Instant::now();
            for _ in 0..count {
                let method = Method::of_path("/runtime.v1.RuntimeService/ListPodSandbox");
                measures.opened(method);
                measures.ended(method, Code::Ok, Duration::from_micros(170));
                measures.closed(method);
            }
            begun.elapsed() / count
        };
        // The best of many: the machine has other work.
        let best = (0..50).map(|_| round()).min().expect("rounds");
        assert!(best < Duration::from_micros(1), "{best:?}, unoptimised");
    }
}
