// SPDX-License-Identifier: Apache-2.0
//! Large requests: what is allowed works, what is not is refused.

use crate::code;
use gorae_proto::cri::KeyValue;
use gorae_tests::{TINY, on_a_node};
use tonic::Code;

#[test]
fn a_thousand_variables_reach_the_program() {
    on_a_node(async |node| {
        let pod = node.pod("variables").run().await;
        let builder = (0..1000).fold(pod.container("c"), |b, i| b.env(&format!("VARIABLE_{i}"), &format!("value {i}")));
        let container = builder.script("env | grep -c ^VARIABLE_; echo $VARIABLE_999").start().await;
        container.ended().await;
        assert_eq!(container.stdout(), ["1000", "value 999"]);
    });
}

#[test]
fn a_configuration_over_sixteen_mebibytes_is_refused_and_one_just_below_is_read() {
    on_a_node(async |node| {
        node.cri().pull(TINY).await.unwrap();
        let pod = node.pod("large").run().await;
        let with = |bytes: usize| {
            let variable = KeyValue { key: "LARGE".into(), value: vec![b'x'; bytes] };
            pod.container("c").image(TINY).with(|c| c.envs.push(variable))
        };
        let refused = code(with(16 << 20).create_as_it_is().await.map(|c| c.id().to_owned()));
        assert!(matches!(refused, Code::OutOfRange | Code::ResourceExhausted | Code::InvalidArgument), "{refused:?}");
        // Room for the rest of the request. It is read, and is more than the kernel lets a program have.
        let container = with((16 << 20) - 4096).create_as_it_is().await.unwrap();
        let error = container.try_start().await.unwrap_err();
        assert!(error.message().contains("argument list too long"), "{error:?}");
        assert_eq!(container.status().await.reason, "StartError");
    });
}
