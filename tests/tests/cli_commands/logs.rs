// SPDX-License-Identifier: Apache-2.0
//! `gorae logs`.

use crate::gorae::{Gorae, end_of};
use gorae_tests::{BUSYBOX, TINY, on_a_node, testing::soon};
use std::time::Duration;

#[test]
fn the_log_is_shown_whole_or_in_part_with_or_without_times() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        let script = "for i in 1 2 3 4 5; do echo $i; done; echo problem >&2";
        gorae.ok(&["run", "--name", "c", BUSYBOX, "sh", "-c", script]).await;
        let all = gorae.run(&["logs", "c"]).await;
        assert_eq!((all.code, all.out.as_str(), all.err.as_str()), (0, "1\n2\n3\n4\n5\n", "problem\n"));
        assert_eq!(gorae.run(&["logs", "--tail", "3", "c"]).await.out, "4\n5\n");
        assert_eq!(gorae.run(&["logs", "-n", "0", "c"]).await.out, "");
        assert_eq!(gorae.run(&["logs", "--tail", "all", "c"]).await.out, all.out);
        for since in ["1h", "0.5h", "2020-01-01", "2020-01-01T06:00", "1577836800.5"] {
            assert_eq!(gorae.run(&["logs", "--since", since, "c"]).await.out, all.out, "{since}");
        }
        assert_eq!(gorae.run(&["logs", "--since", "2199-01-01T00:00:00Z", "c"]).await.out, "");
        let timed = gorae.run(&["logs", "-t", "--tail", "2", "c"]).await.out;
        assert!(timed.starts_with("20") && timed.contains('T') && timed.trim_end().ends_with(" 5"), "{timed}");
        assert_eq!(gorae.run(&["logs", "--since", "soon", "c"]).await.code, 1);
        let json = gorae.ok(&["logs", "--format", "json", "c"]).await;
        let texts = json.lines().map(|l| serde_json::from_str::<serde_json::Value>(l).expect("JSON")["text"].clone());
        assert_eq!(texts.filter(|text| text == "problem").count(), 1, "{json}");
        gorae.ok(&["rm", "c"]).await;
        gorae.leaves_nothing().await;
    });
}

#[test]
fn following_loses_nothing_across_rotation_and_ends_with_the_container() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        let id = gorae.ok(&["run", "-d", "--name", "c", TINY, "tick", "2"]).await;
        let child = gorae.spawn(&["logs", "-f", "c"]);
        let log = gorae.json(&["inspect", "c"]).await[0]["status"]["logPath"].as_str().unwrap().to_owned();
        for n in 0..5 {
            tokio::time::sleep(Duration::from_millis(150)).await;
            std::fs::rename(&log, format!("{log}.{n}")).unwrap();
            let request = gorae_proto::cri::ReopenContainerLogRequest { container_id: id.clone() };
            node.cri().runtime().reopen_container_log(request).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(150)).await;
        gorae.ok(&["stop", "-t", "0", "c"]).await;
        let ran = end_of(child).await;
        assert_eq!((ran.code, ran.err.as_str()), (0, ""));
        let lines: Vec<_> = ran.out.lines().collect();
        assert!(lines.len() > 50, "{} lines", lines.len());
        assert!(lines.iter().enumerate().all(|(n, line)| *line == format!("tick {}", n + 1)), "{}", ran.out);
        gorae.ok(&["rm", "c"]).await;
        gorae.leaves_nothing().await;
    });
}

#[test]
fn following_costs_no_processor_while_nothing_is_written() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        gorae.ok(&["run", "-d", "--name", "c", BUSYBOX, "sh", "-c", "echo up; exec sleep 1000"]).await;
        let child = gorae.spawn(&["logs", "-f", "c"]);
        let switches = || {
            let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()?)).ok()?;
            status.lines().find_map(|l| l.strip_prefix("voluntary_ctxt_switches:")?.trim().parse::<u64>().ok())
        };
        soon("it follows", async || switches().filter(|&n| n > 0)).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let before = switches().unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(switches().unwrap() - before <= 2, "it woke up {} times", switches().unwrap() - before);
        gorae.ok(&["rm", "-f", "c"]).await;
        // The container was removed under it: that is an end too.
        let ran = end_of(child).await;
        assert_eq!(ran.out, "up\n", "{}", ran.err);
        gorae.leaves_nothing().await;
    });
}
