// SPDX-License-Identifier: Apache-2.0
//! Metrics of the daemon's own process, under the names that dashboards know (`process_*`).

use crate::metrics::{Kind, Page};
use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use nix::sys::time::TimeValLike;
use nix::unistd::{SysconfVar, sysconf};
use std::time::SystemTime;

/// Writes the metrics that can be read and leaves out the others.
pub fn write(page: &mut Page, started: SystemTime) {
    if let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) {
        let microseconds = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
        let help = "User and system CPU time of goraed, in seconds.";
        page.single("process_cpu_seconds_total", Kind::Counter, help, microseconds as f64 / 1e6);
    }
    if let Some((virtual_bytes, resident_bytes)) = memory() {
        page.single("process_virtual_memory_bytes", Kind::Gauge, "Virtual memory of goraed, in bytes.", virtual_bytes);
        let help = "Resident memory of goraed, in bytes.";
        page.single("process_resident_memory_bytes", Kind::Gauge, help, resident_bytes);
    }
    if let Ok(entries) = std::fs::read_dir("/proc/self/fd") {
        // One of them belongs to the directory listing itself.
        let open = entries.count().saturating_sub(1);
        page.single("process_open_fds", Kind::Gauge, "Open file descriptors of goraed.", open);
    }
    if let Ok((soft, _)) = getrlimit(Resource::RLIMIT_NOFILE) {
        page.single("process_max_fds", Kind::Gauge, "Limit on open file descriptors of goraed.", soft);
    }
    if let Ok(since) = started.duration_since(SystemTime::UNIX_EPOCH) {
        let help = "Start time of goraed, in seconds since the Unix epoch.";
        page.single("process_start_time_seconds", Kind::Gauge, help, since.as_secs_f64());
    }
}

/// Virtual and resident memory, in bytes.
fn memory() -> Option<(u64, u64)> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let page_size = u64::try_from(sysconf(SysconfVar::PAGE_SIZE).ok()??).ok()?;
    let mut pages = text.split(' ').map(str::parse::<u64>);
    let (all, resident) = (pages.next()?.ok()?, pages.next()?.ok()?);
    Some((all * page_size, resident * page_size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metrics_of_this_process_have_plausible_values() {
        let mut page = Page::default();
        write(&mut page, SystemTime::now());
        let text = page.into_text();
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
            line.unwrap_or_else(|| panic!("{name} is not in\n{text}")).parse::<f64>().expect("a number")
        };
        assert!(value("process_cpu_seconds_total") >= 0.0);
        assert!(value("process_resident_memory_bytes") > 1e6);
        assert!(value("process_virtual_memory_bytes") > value("process_resident_memory_bytes"));
        assert!(value("process_open_fds") >= 3.0 && value("process_open_fds") <= value("process_max_fds"));
        assert!(value("process_start_time_seconds") > 1.7e9);
    }
}
