// SPDX-License-Identifier: Apache-2.0
//! Container logs: the CRI's format, nothing lost, rotation.

use gorae_tests::{TINY, log, on_a_node};
use std::time::Duration;

#[test]
fn each_line_is_one_record_of_its_stream() {
    on_a_node(async |node| {
        let pod = node.pod("format").run().await;
        let container = pod.container("c").script("echo one; echo two >&2; echo; printf three").start().await;
        container.ended().await;
        let records = container.log_records();
        let of = |stream: &str| {
            let ours = records.iter().filter(|r| r.stream == stream);
            ours.map(|r| (r.text.clone(), r.full)).collect::<Vec<_>>()
        };
        let text = |t: &str| t.to_owned();
        assert_eq!(of("stdout")[..2], [(text("one"), true), (text(""), true)]);
        // The last line was never ended: kubectl joins it, whichever tag it has.
        assert_eq!(of("stdout")[2].0, "three");
        assert_eq!(of("stderr"), [(text("two"), true)]);
        assert!(records.iter().all(|r| r.time.ends_with('Z') || r.time.contains('+')));
    });
}

#[test]
fn every_line_is_in_the_log_when_the_container_has_ended() {
    on_a_node(async |node| {
        let pod = node.pod("many").run().await;
        let container = pod.container("c").image(TINY).args(["count", "100000", "5"]).start().await;
        let status = container.ended().await;
        assert_eq!(status.exit_code, 5);
        let lines = container.stdout();
        assert_eq!(lines.len(), 100_000);
        assert!(lines.iter().enumerate().all(|(i, line)| *line == format!("line {}", i + 1)));
    });
}

#[test]
fn a_long_line_is_split_into_partial_records_and_loses_nothing() {
    on_a_node(async |node| {
        let pod = node.pod("long").run().await;
        let script = "head -c 100000 /dev/zero | tr '\\0' a; echo; echo short";
        let container = pod.container("c").script(script).start().await;
        container.ended().await;
        let records = container.log_records();
        assert!(records.len() > 2, "{} records", records.len());
        assert!(records.iter().all(|r| r.text.len() <= 32 << 10), "a record is longer than a reader takes");
        assert_eq!(log::lines(&records, "stdout"), ["a".repeat(100_000), "short".to_owned()]);
    });
}

#[test]
fn rotating_while_the_container_writes_loses_and_splits_nothing() {
    on_a_node(async |node| {
        let pod = node.pod("rotate").run().await;
        let container = pod.container("c").image(TINY).args(["tick", "1"]).start().await;
        container.has_printed(|line| line == "tick 10").await;
        let mut old = Vec::new();
        for i in 0..20 {
            let name = container.log_file().with_extension(format!("log.{i}"));
            std::fs::rename(container.log_file(), &name).unwrap();
            container.try_reopen_log().await.unwrap();
            assert!(container.log_file().exists(), "the new file is there when the call returns");
            old.push(name);
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        container.stop(5).await;
        let mut lines = Vec::new();
        for file in &old {
            let records = log::parse(&std::fs::read_to_string(file).unwrap()).expect("no record is split");
            lines.extend(log::lines(&records, "stdout"));
        }
        lines.extend(container.stdout());
        for (i, line) in lines.iter().enumerate() {
            assert_eq!(*line, format!("tick {}", i + 1));
        }
    });
}

#[test]
fn the_log_of_a_container_that_does_not_run_is_not_opened_again() {
    on_a_node(async |node| {
        let pod = node.pod("ended").run().await;
        let container = pod.container("c").image(TINY).args(["echo", "x"]).start().await;
        container.ended().await;
        std::fs::remove_file(container.log_file()).unwrap();
        let error = container.try_reopen_log().await.unwrap_err();
        assert_eq!(error.code(), tonic::Code::FailedPrecondition, "{error:?}");
        assert!(!container.log_file().exists());
    });
}

#[test]
fn a_terminal_puts_everything_on_standard_output() {
    on_a_node(async |node| {
        let pod = node.pod("tty").run().await;
        let script = "test -t 1 && echo terminal; echo err >&2";
        let container = pod.container("c").script(script).with(|c| c.tty = true).start().await;
        container.ended().await;
        let text: Vec<_> = container.stdout().iter().map(|l| l.trim_end_matches('\r').to_owned()).collect();
        assert_eq!(text, ["terminal", "err"]);
    });
}

#[test]
fn without_a_log_path_the_container_runs_all_the_same() {
    on_a_node(async |node| {
        let pod = node.pod("silent").run().await;
        let quiet = pod.container("c").image(TINY).args(["count", "10000", "0"]).with(|c| c.log_path.clear());
        assert_eq!(quiet.start().await.ended().await.exit_code, 0);
    });
}
