// SPDX-License-Identifier: Apache-2.0
//! The images that critest v1.36.0 pulls: same names, same users, ports and behaviour, our own content.
//!
//! critest asks for them under `registry.k8s.io`, `k8s.gcr.io` and `gcr.io`; only the path is pushed, and the
//! node under test has mirrors for these hosts.

use super::debian::Debian;
use super::layer::{Layer, Packing, Writer, sha256};
use super::programs::{NNP, PAUSE};
use super::push::{Form, Image, architecture};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::process::Command;

const E2E: &str = "e2e-test-images";
const CRI: &str = "k8s-staging-cri-tools";
/// `PATH` of every image.
pub const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n\
    daemon:x:1:1:daemon:/usr/sbin:/bin/false\n\
    www-data:x:33:33:www-data:/var/www:/bin/false\n\
    nobody:x:65534:65534:nobody:/home:/bin/false\n";
const GROUP: &str = "root:x:0:\ndaemon:x:1:\nwww-data:x:33:\nnogroup:x:65534:\n";

/// A shell's answer to `ipcs -m`, which Debian's busybox lacks: the shared memory segments, one a line.
const IPCS: &str = "#!/bin/sh\nexec awk 'NR > 1 { print $1, $2, $3, $4 }' /proc/sysvipc/shm\n";
/// `pgrep NAME` with the part of its behaviour that critest looks at.
const PGREP: &str = "#!/bin/sh\npids=$(pidof \"$1\") || exit 1\nfor pid in $pids; do echo $pid; done\n";

/// Every image critest needs.
///
/// # Errors
/// When a package is missing or a program does not compile.
pub fn images(debian: &Debian) -> Result<Vec<Image>> {
    let base = userland(debian)?;
    let mut images = vec![
        image(&format!("{E2E}/busybox"), &["1.29-2"], vec![base.clone()], shell()),
        pause()?,
        set_user_id(&base)?,
        web_server(&base),
        predefined_group(&base),
    ];
    images.extend(nginx(debian, &base)?);
    images.extend(users(&base));
    images.extend(marked(&base));
    images.push(by_digest());
    Ok(images)
}

/// The image that critest pulls by digest. It depends on no package and no compiler, so its digest is a constant,
/// which `tests/tools/test-image-digest` holds for the build of critest.
#[must_use]
pub fn by_digest() -> Image {
    let layer = Writer::default().file("/test-image-digest", 0o644, b"pulled by digest\n").finish(Packing::Gzip);
    let form = Form::Docker;
    Image { form, ..image(&format!("{CRI}/test-image-digest"), &["latest"], vec![layer], json!({"Cmd": ["/none"]})) }
}

/// A userland: Debian's dynamic busybox with its applets as hard links, users and groups.
///
/// Not the static one: its shell runs applets without looking at /bin. Not symbolic links: a masked path on one
/// would mask busybox itself.
///
/// # Errors
/// When a package is missing.
pub fn userland(debian: &Debian) -> Result<Layer> {
    let mut layer = Writer::default();
    for dir in ["dev", "etc", "home", "proc", "root", "run", "sys", "usr/bin", "usr/sbin", "var/www"] {
        layer.dir(dir, 0o755, 0);
    }
    layer.dir("tmp", 0o1777, 0);
    debian.add_program(&mut layer, "/bin/busybox")?;
    for applet in applets(debian)? {
        layer.hard_link(&format!("/bin/{applet}"), "/bin/busybox");
    }
    layer.file("/bin/ipcs", 0o755, IPCS.as_bytes()).file("/bin/pgrep", 0o755, PGREP.as_bytes());
    layer.file("/etc/passwd", 0o644, PASSWD.as_bytes()).file("/etc/group", 0o644, GROUP.as_bytes());
    Ok(layer.finish(Packing::Gzip))
}

fn applets(debian: &Debian) -> Result<Vec<String>> {
    let out = Command::new(debian.path("/bin/busybox")).arg("--list").output().context("run busybox --list")?;
    let list = String::from_utf8(out.stdout)?;
    Ok(list.lines().filter(|a| !matches!(*a, "busybox" | "ipcs" | "pgrep")).map(str::to_owned).collect())
}

fn shell() -> Value {
    json!({"Env": [PATH], "Cmd": ["sh"]})
}

fn image(repository: &str, tags: &[&str], layers: Vec<Layer>, config: Value) -> Image {
    let tags = tags.iter().map(|t| (*t).to_owned()).collect();
    Image { repository: repository.to_owned(), tags, layers, config, form: Form::OciIndex }
}

fn pause() -> Result<Image> {
    let layer = Writer::default().file("/pause", 0o755, &PAUSE.compile()?).finish(Packing::Gzip);
    let config = json!({"Env": [PATH], "Entrypoint": ["/pause"], "User": "65535:65535", "WorkingDir": "/"});
    Ok(image("pause", &["3.9"], vec![layer], config))
}

fn set_user_id(base: &Layer) -> Result<Image> {
    let layer = Writer::default().file("/nnp", 0o4755, &NNP.compile()?).finish(Packing::Gzip);
    let config = json!({"Env": [PATH], "Entrypoint": ["/nnp"]});
    Ok(image(&format!("{E2E}/nonewprivs"), &["1.3"], vec![base.clone(), layer], config))
}

/// busybox's httpd; it names itself on its log, which critest looks for.
fn web_server(base: &Layer) -> Image {
    let script = "#!/bin/sh\necho 'httpd: serving /www on port 80'\nexec httpd -f -p 80 -h /www\n";
    let layer = Writer::default()
        .file("/www/index.html", 0o644, b"<html><h1>It works!</h1></html>\n")
        .file("/usr/bin/serve", 0o755, script.as_bytes())
        .finish(Packing::Gzip);
    let config = json!({"Env": [PATH], "Cmd": ["/usr/bin/serve"], "ExposedPorts": {"80/tcp": {}}});
    image(&format!("{E2E}/httpd"), &["2.4.39-4"], vec![base.clone(), layer], config)
}

/// Debian's nginx, once on port 80 and once on 12003 for pods in the host's network.
fn nginx(debian: &Debian, base: &Layer) -> Result<[Image; 2]> {
    let command = json!(["/usr/sbin/nginx", "-g", "daemon off;"]);
    let pod = image(
        &format!("{E2E}/nginx"),
        &["1.14-2"],
        vec![base.clone(), nginx_layer(debian, 80)?],
        json!({"Env": [PATH], "Cmd": command, "ExposedPorts": {"80/tcp": {}}}),
    );
    let host = Image {
        form: Form::Oci,
        ..image(
            &format!("{CRI}/hostnet-nginx-{}", architecture()),
            &["latest"],
            vec![base.clone(), nginx_layer(debian, 12003)?],
            json!({"Env": [PATH], "Cmd": command, "StopSignal": "SIGQUIT"}),
        )
    };
    Ok([pod, host])
}

fn nginx_layer(debian: &Debian, port: u16) -> Result<Layer> {
    let mut layer = Writer::default();
    debian.add_program(&mut layer, "/usr/sbin/nginx")?;
    layer.dir("/var/log/nginx", 0o755, 0).dir("/var/lib/nginx", 0o755, 0).symlink("/var/run", "/run");
    let config = format!(
        "user www-data;\nworker_processes 1;\npid /run/nginx.pid;\nerror_log /dev/stderr notice;\n\
         events {{ worker_connections 64; }}\n\
         http {{\n  access_log /dev/stdout;\n  server {{ listen {port}; root /usr/share/nginx/html; }}\n}}\n"
    );
    layer.file("/etc/nginx/nginx.conf", 0o644, config.as_bytes());
    let page = b"<html><title>Welcome to nginx!</title><h1>Welcome to nginx!</h1></html>\n";
    layer.file("/usr/share/nginx/html/index.html", 0o644, page);
    Ok(layer.finish(Packing::Gzip))
}

/// Images whose configuration names a user in each of the four forms, and one with a group of its own.
fn users(base: &Layer) -> Vec<Image> {
    let forms =
        [("uid", "1002"), ("username", "www-data"), ("uid-group", "1003:1004"), ("username-group", "www-data:1004")];
    let of = |(name, user): (&str, &str)| {
        let config = json!({"Env": [PATH], "Cmd": ["sh"], "User": user});
        image(&format!("{CRI}/test-image-user-{name}"), &["latest"], vec![base.clone()], config)
    };
    forms.into_iter().map(of).collect()
}

fn predefined_group(base: &Layer) -> Image {
    let passwd = format!("{PASSWD}default-user:x:1000:1000::/home/default-user:/bin/sh\n");
    let group = format!("{GROUP}default-user:x:1000:\ngroup-defined-in-image:x:50000:default-user\n");
    let layer = Writer::default()
        .file("/etc/passwd", 0o644, passwd.as_bytes())
        .file("/etc/group", 0o644, group.as_bytes())
        .dir("/home/default-user", 0o755, 1000)
        .finish(Packing::Gzip);
    let config = json!({"Env": [PATH], "Cmd": ["sh"], "User": "1000"});
    image(&format!("{CRI}/test-image-predefined-group"), &["latest"], vec![base.clone(), layer], config)
}

/// Images that differ only in one file, and one that has three tags.
fn marked(base: &Layer) -> Vec<Image> {
    let of = |name: &str, tags: &[&str], mark: &str| {
        let layer = Writer::default().file(&format!("/{mark}"), 0o644, b"").finish(Packing::Gzip);
        let layers = vec![base.clone(), layer];
        Image { form: Form::DockerList, ..image(&format!("{CRI}/{name}"), tags, layers, shell()) }
    };
    vec![
        of("test-image-1", &["latest"], "one"),
        of("test-image-2", &["latest"], "two"),
        of("test-image-3", &["latest"], "three"),
        of("test-image-latest", &["latest"], "latest"),
        of("test-image-tags", &["1", "2", "3"], "same"),
        of("test-image-tag", &["test"], "test"),
        of("test-image-tag", &["all"], "all"),
    ]
}

/// A digest that no image has.
#[must_use]
pub fn absent_digest() -> String {
    sha256(b"no image has this digest")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_that_critest_is_built_with_is_that_of_our_image() {
        assert_eq!(by_digest().digest(), include_str!("../../tools/test-image-digest").trim());
    }
}
