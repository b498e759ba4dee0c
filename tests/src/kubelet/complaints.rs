// SPDX-License-Identifier: Apache-2.0
//! The error lines of kubelet's log, without those that are its own affair.

/// What kubelet complains of here, whatever the runtime: part of the line, and why.
const ITS_OWN: &[(&str, &str)] = &[
    (
        "runtime status check may not have completed yet",
        "said once at each start, before the first look at the runtime",
    ),
    ("no default routes found", "the namespaces of the tests lead nowhere"),
    ("\"kubelet_internal_checkpoint\"", "no device plugin ever registered"),
    ("no imagefs label for configured runtime", "cAdvisor knows the sockets of containerd and CRI-O and no other"),
    ("failed to check if node is newer", "there is no API server, so no version of the node"),
    ("with CrashLoopBackOff:", "a container that the test lets crash is waited for"),
    (
        "\"Version from runtime service failed\" err=\"rpc error: code = Canceled",
        "the loop of the node's status asks with a context that kubelet cancels at any time",
    ),
    ("use of closed network connection", "kubelet reads from a WebSocket client after it has hung up on it"),
    ("websocket: close sent", "it writes to one after that"),
    ("OOM events will not be reported", "cAdvisor could not read the machine's kernel log to its end"),
    ("unknown container \\\"/kubepods", "the group of all pods is younger than cAdvisor's last look"),
    ("system container \\\"pods\\\" not found", "the same, as the eviction loop sees it"),
    ("RecentStats: unable to find data in memory cache", "cAdvisor knows the group and has not measured it yet"),
    ("Error proxying data from client to backend", "the client hangs up as soon as its user has"),
    (
        "\"ExecSync cmd from runtime service failed\" err=\"rpc error: code = FailedPrecondition",
        "kubelet probes a container that is just ending",
    ),
    (
        "\"ContainerStatus from runtime service failed\" err=\"rpc error: code = NotFound",
        "kubelet asks for the status of a container that it has just removed",
    ),
];

/// What a kubelet says that was told to end while it asks. (A call that takes too long ends in DeadlineExceeded.)
const TAKEN_BACK: &str = "rpc error: code = Canceled desc = context canceled";

/// Those of a kubelet that was told to end: `told` is the length that its log had then.
#[must_use]
pub fn of_an_end<'a>(log: &'a str, told: usize, expected: &[&str]) -> Vec<&'a str> {
    // The log is read between two lines, or in one that kubelet was just writing.
    let told = (told..log.len()).find(|i| log.is_char_boundary(*i)).unwrap_or(log.len());
    let (before, after) = log.split_at(log[..told].rfind('\n').map_or(0, |end| end + 1));
    let mut found = of(before, expected);
    found.extend(of(after, expected).into_iter().filter(|line| !line.contains(TAKEN_BACK)));
    found
}

/// The lines of severity E (or F) that are not kubelet's own affair, and have none of these parts.
#[must_use]
pub fn of<'a>(log: &'a str, expected: &[&str]) -> Vec<&'a str> {
    let own = |line: &str| ITS_OWN.iter().any(|(part, _)| line.contains(part));
    let expected = |line: &str| expected.iter().any(|part| line.contains(part));
    log.lines().filter(|line| is_complaint(line) && !own(line) && !expected(line)).collect()
}

/// True for `E0102 15:04:05.678901 …`, as klog writes it.
fn is_complaint(line: &str) -> bool {
    let bytes = line.as_bytes();
    bytes.len() > 5 && matches!(bytes[0], b'E' | b'F') && bytes[1..5].iter().all(u8::is_ascii_digit) && bytes[5] == b' '
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_call_that_kubelet_takes_back_is_a_complaint_unless_it_was_told_to_end() {
        let ended = "E1130 16:42:08.5 1 remote_image.go:303] \"ImageFsInfo from image service failed\" err=\"rpc error: \
                     code = Canceled desc = context canceled\"";
        let late =
            ended.replace("Canceled desc = context canceled", "DeadlineExceeded desc = context deadline exceeded");
        let log = format!("{ended}\n{ended}\n{late}\n");
        assert_eq!(super::of_an_end(&log, ended.len() + 1, &[]), [ended, &late]);
        assert_eq!(super::of_an_end(&log, ended.len() + 9, &[]), [ended, &late], "it was writing a line");
        assert_eq!(super::of_an_end(&log, 0, &[]), [late.as_str()]);
        assert_eq!(super::of(&log, &[]).len(), 3);
    }

    #[test]
    fn an_error_is_a_complaint_unless_it_is_kubelets_own_or_expected() {
        let log = "I1121 11:02:21.1 1 a.go:1] fine\nE1121 11:02:21.2 1 b.go:2] bad\nE1121 11:02:21.3 1 c.go:3] known\n\
                   Error of no klog line\nE1121 11:02:21.4 1 d.go:4] with CrashLoopBackOff: x\n";
        assert_eq!(super::of(log, &["known"]), ["E1121 11:02:21.2 1 b.go:2] bad"]);
    }
}
