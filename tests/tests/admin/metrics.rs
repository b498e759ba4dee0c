// SPDX-License-Identifier: Apache-2.0
//! `/metrics`, as a real Prometheus reads it.

use crate::{address, sample};
use gorae_proto::cri::{GetEventsRequest, PodSandboxStatusRequest, VersionRequest};
use gorae_tests::prometheus::{Prometheus, check_page};
use gorae_tests::testing::{on_a_node_with, soon};
use gorae_tests::{TINY, admin, on_a_node};
use std::os::unix::fs::PermissionsExt;
use tower::{Service, ServiceExt};

#[test]
fn a_real_prometheus_reads_the_page_and_counts_what_clients_have_called() {
    on_a_node_with("[admin]\nlisten = \"127.0.0.1:0\"\n", async |node| {
        let prometheus = Prometheus::of(address(node).await).unwrap();
        for _ in 0..7 {
            node.cri().runtime().version(VersionRequest::default()).await.unwrap();
        }
        let absent = PodSandboxStatusRequest { pod_sandbox_id: "absent".into(), verbose: false };
        node.cri().runtime().pod_sandbox_status(absent).await.unwrap_err();
        let pod = node.pod("p").run().await;
        pod.container("c").image(TINY).start().await;
        for (expression, is_so) in [
            ("up", |value| value == 1.0),
            ("gorae_rpc_handled_total{method=\"Version\",code=\"OK\"}", |value| value >= 7.0),
            ("gorae_rpc_handled_total{method=\"PodSandboxStatus\",code=\"NotFound\"}", |value| value == 1.0),
            ("gorae_rpc_handled_total{method=\"PullImage\",code=\"OK\"}", |value| value >= 1.0),
            ("gorae_rpc_duration_seconds_count{method=\"RunPodSandbox\"}", |value| value >= 2.0),
            // The shape of a histogram is right when a quantile comes out of it.
            ("histogram_quantile(0.5, sum by (le) (gorae_rpc_duration_seconds_bucket{method=\"Version\"}))", |value| {
                value > 0.0 && value < 1.0
            }),
            ("gorae_pods{state=\"ready\"}", |value| value == 1.0),
            ("gorae_containers{state=\"running\"}", |value| value == 1.0),
            ("gorae_images", |value| value >= 1.0),
            ("process_resident_memory_bytes", |value| value > 1e6),
            ("gorae_build_info", |value| value == 1.0),
        ] as [(&str, fn(f64) -> bool); 11]
        {
            soon(&format!("{expression} is as it should be\n{}", prometheus.log()), async || {
                let value = prometheus.value(expression).await.ok().flatten()?;
                is_so(value).then_some(())
            })
            .await;
        }
    });
}

#[test]
fn the_page_has_the_form_that_promtool_wants_and_only_labels_that_exist() {
    on_a_node(async |node| {
        let socket = node.daemon().admin_socket();
        assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600, "for root alone");
        for n in 0..100 {
            let path = format!("http://localhost/runtime.v1.RuntimeService/MadeUp{n}");
            let request = http::Request::post(path).header("content-type", "application/grpc");
            let request = request.body(tonic::body::Body::empty()).unwrap();
            let mut channel = node.cri().channel();
            let answer = channel.ready().await.unwrap().call(request).await.unwrap();
            assert_eq!(answer.headers()["grpc-status"], "12", "it is not implemented");
        }
        let events = node.cri().runtime().get_container_events(GetEventsRequest {}).await.unwrap().into_inner();
        let page = admin::get(&socket, "/metrics").await.unwrap();
        assert_eq!(page.status, 200, "{page:?}");
        assert!(page.head.to_lowercase().contains("content-type: text/plain; version=0.0.4"), "{}", page.head);
        check_page(&page.body).unwrap();
        let unknown = sample(&page.body, "gorae_rpc_handled_total{method=\"other\",code=\"Unimplemented\"}");
        assert_eq!(unknown, Some("100"), "{}", page.body);
        assert!(!page.body.contains("MadeUp"), "a client has made a label up");
        assert_eq!(sample(&page.body, "gorae_rpc_streams_open"), Some("1"));
        drop(events);
        soon("the stream that was left is counted", async || {
            let page = admin::get(&socket, "/metrics").await.unwrap().body;
            let canceled = "gorae_rpc_handled_total{method=\"GetContainerEvents\",code=\"Canceled\"}";
            (sample(&page, canceled) == Some("1") && sample(&page, "gorae_rpc_streams_open") == Some("0")).then_some(())
        })
        .await;
        assert_eq!(sample(&page.body, "gorae_records_damaged"), Some("0"));
        assert_eq!(sample(&page.body, "gorae_shims_stuck"), Some("0"));
    });
}
