// SPDX-License-Identifier: Apache-2.0
//! The streaming server over TLS, and a certificate that is renewed while it serves.

use crate::client::{Client, TRANSPORTS, noise};
use crate::forwarded::{Forwarded, ask, echo, server};
use gorae_tests::testing::on_a_node_with;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A certificate and its key.
struct Pair {
    certificate: PathBuf,
    key: PathBuf,
}

impl Pair {
    /// Makes one for the address that goraed listens at, and the name that crictl looks for.
    fn make(directory: &Path, name: &str) -> Pair {
        let pair = Pair::at(directory, name);
        let request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj /CN=gorae-test \
                       -addext subjectAltName=IP:127.0.0.1,DNS:localhost -addext basicConstraints=critical,CA:FALSE";
        let mut openssl = Command::new("openssl");
        openssl.args(request.split_whitespace()).arg("-keyout").arg(&pair.key).arg("-out").arg(&pair.certificate);
        let made = openssl.output().expect("openssl is installed");
        assert!(made.status.success(), "{made:?}");
        pair
    }

    fn at(directory: &Path, name: &str) -> Pair {
        let path = |end| directory.join(format!("{name}.{end}"));
        Pair { certificate: path("crt"), key: path("key") }
    }

    /// Takes the place of another, file by file.
    fn replace(&self, other: &Pair) {
        for (from, to) in [(&self.certificate, &other.certificate), (&self.key, &other.key)] {
            let new = to.with_extension("new");
            std::fs::copy(from, &new).and_then(|_| std::fs::rename(&new, to)).expect("it is replaced");
        }
    }
}

#[test]
fn crictl_streams_over_tls_and_meets_the_renewed_certificate() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let [first, second] = ["first", "second"].map(|name| Pair::make(directory.path(), name));
    let served = Pair::at(directory.path(), "served");
    first.replace(&served);
    let config = format!("[streaming]\ntls_certificate = {:?}\ntls_key = {:?}\n", served.certificate, served.key);
    on_a_node_with(&config, async |node| {
        let pod = node.pod("tls").host_network().run().await;
        let container = pod.container("sh").script("sleep 10000").start().await;
        let client = |transport, pair: &Pair| Client::of(node, transport).trusting(&pair.certificate, &pair.key);
        let (all, port) = (noise(8 << 20), server("127.0.0.1:0", echo));
        for transport in TRANSPORTS {
            let client = client(transport, &first);
            let ran = client.exec(&container, &["sh", "-c", "echo out; echo err >&2; exit 42"]).await;
            assert_eq!(ran.out, b"out\n", "{transport}: {ran:?}");
            assert!(ran.err.starts_with("err\n") && ran.err.contains("exit code 42"), "{transport}: {ran:?}");
            let ran = client.exec_fed(&container, &["cat"], &all).await;
            assert!(ran.code == 0 && ran.out == all, "{transport}: {} of {} bytes", ran.out.len(), all.len());
            let forwarded = Forwarded::start(&client, &pod, port).await;
            let sent = all.clone();
            assert!(forwarded.talk(move |stream| ask(stream, &sent) == sent).await, "{transport}");
        }
        second.replace(&served);
        for transport in TRANSPORTS {
            let ran = client(transport, &first).exec(&container, &["true"]).await;
            assert!(ran.code != 0 && ran.err.contains("certificate"), "{transport}: {ran:?}");
            assert_eq!(client(transport, &second).exec(&container, &["true"]).await.code, 0, "{transport}");
        }
        assert!(node.daemon().log().contains("serving a renewed streaming certificate"));
    });
}
