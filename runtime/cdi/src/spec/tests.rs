// SPDX-License-Identifier: Apache-2.0

use super::*;

const YAML: &str = "\
cdiVersion: 0.7.0
kind: vendor.com/gpu
annotations: {note: for people}
containerEdits:
  env: [ALL=1]
  hooks:
  - hookName: createContainer
    path: /usr/bin/tool
    args: [tool, hook, update-ldcache, --folder, /usr/lib64]
    timeout: 5
devices:
- name: \"0\"
  containerEdits:
    deviceNodes:
    - path: /dev/gpu0
      hostPath: /dev/null
      fileMode: 0666
      permissions: rw
      uid: 5
    mounts:
    - {hostPath: /lib/a, containerPath: /lib/a, options: [ro, rbind]}
    additionalGids: [44]
    intelRdt: {closID: class, l3CacheSchema: \"L3:0=f\"}
";

#[test]
fn a_yaml_file_with_everything_is_read() {
    let spec = Spec::parse(YAML, Format::Yaml).expect("reads");
    assert_eq!((spec.kind.as_str(), spec.devices[0].name.as_str()), ("vendor.com/gpu", "0"));
    let edits = &spec.devices[0].container_edits;
    assert_eq!((edits.device_nodes[0].file_mode, edits.device_nodes[0].uid), (Some(0o666), Some(5)));
    assert_eq!((edits.additional_gids[0], edits.mounts[0].options.len()), (44, 2));
    assert_eq!(spec.container_edits.hooks[0].timeout, Some(5));
}

#[test]
fn what_is_not_right_is_refused_with_its_place() {
    for (from, to, said) in [
        ("0.7.0", "9.0.0", "cdiVersion"),
        ("vendor.com/gpu", "vendor.com", "kind"),
        ("ALL=1", "ALL", "env"),
        ("/usr/bin/tool", "tool", "path"),
        ("createContainer", "later", "hookName"),
        ("timeout: 5", "timeout: 0", "timeout"),
        ("permissions: rw", "permissions: rx", "permissions"),
        ("fileMode", "filemode", "filemode"),
        ("path: /dev/gpu0", "path: dev/gpu0", "dev/gpu0"),
        ("name: \"0\"", "name: \"\"", "device"),
        ("kind: vendor.com/gpu\n", "", "kind"),
    ] {
        let text = YAML.replacen(from, to, 1);
        assert_ne!(text, YAML, "{from}");
        let error = Spec::parse(&text, Format::Yaml).expect_err(said);
        assert!(error.contains(said), "{from} -> {to}: {error}");
    }
}

#[test]
fn aliases_do_not_multiply() {
    let mut text =
        String::from("cdiVersion: 0.7.0\nkind: v/c\ndevices: []\nannotations:\n  a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
    for level in 1..9 {
        let below = format!("*a{},", level - 1).repeat(9);
        text.push_str(&format!("  a{level}: &a{level} [{}]\n", below.trim_end_matches(',')));
    }
    assert!(Spec::parse(&text, Format::Yaml).is_err());
}
