// SPDX-License-Identifier: Apache-2.0
//! Decides which file is the node's network.

use super::files;
use crate::list::List;
use std::path::PathBuf;
use std::sync::Arc;

/// What the directories say.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// This is the network.
    Network(Arc<Chosen>),
    /// There is no configuration, or none of the configured name.
    Nothing,
    /// The file that counts cannot be used.
    Broken {
        /// The file, or a directory that cannot be read.
        file: PathBuf,
        /// Why: without its contents, which may be secret.
        why: String,
    },
}

/// The network, with the file that it comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Chosen {
    /// The file.
    pub file: PathBuf,
    /// What it says.
    pub list: List,
    /// Files after it that have the same name of a network; they have no effect.
    pub shadowed: Vec<PathBuf>,
}

pub(super) fn choose(network: Option<&str>, files: &[PathBuf]) -> Found {
    let read = files.iter().map(|file| (file, files::read(file)));
    let mut broken = None;
    let mut chosen: Option<Chosen> = None;
    for (file, list) in read {
        match (list, &mut chosen) {
            (Ok(list), Some(chosen)) if list.name == chosen.list.name => chosen.shadowed.push(file.clone()),
            (Ok(list), None) if network.is_none_or(|name| name == list.name) => {
                chosen = Some(Chosen { file: file.clone(), list, shadowed: Vec::new() });
            }
            (Err(why), None) => {
                let this = Found::Broken { file: file.clone(), why: why.to_string() };
                if network.is_none() {
                    return this;
                }
                broken.get_or_insert(this);
            }
            _ => {}
        }
    }
    match (chosen, broken) {
        (Some(chosen), _) => Found::Network(Arc::new(chosen)),
        (None, Some(broken)) => broken,
        (None, None) => Found::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::Directory;
    use crate::list::Plugin;
    use std::path::Path;

    fn network(name: &str, kind: &str) -> String {
        format!(r#"{{"name":"{name}","cniVersion":"1.0.0","plugins":[{{"type":"{kind}"}}]}}"#)
    }

    fn write(directory: &Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = directory.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
    }

    fn read(paths: &[&Path], name: Option<&str>) -> Found {
        let paths = paths.iter().map(|path| path.to_path_buf()).collect();
        Directory { paths, network: name.map(str::to_owned) }.read()
    }

    fn chosen(found: Found) -> Arc<Chosen> {
        match found {
            Found::Network(chosen) => chosen,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_first_file_in_the_order_of_bytes_counts_and_editors_files_do_not() {
        let dir = tempfile::tempdir().unwrap();
        let (b, a) = (network("b", "x"), network("a", "x"));
        write(
            dir.path(),
            &[("100-y.conflist", &a), ("10-x.conflist", &b), (".#0.conf", "x"), ("0.txt", "x"), ("1.conf.bak", "x")],
        );
        assert_eq!(chosen(read(&[dir.path()], None)).list.name, "b");
        assert_eq!(chosen(read(&[dir.path()], Some("a"))).list.name, "a");
        assert_eq!(read(&[dir.path()], Some("c")), Found::Nothing);
        assert_eq!(read(&[&dir.path().join("none")], None), Found::Nothing);
    }

    #[test]
    fn a_list_keeps_its_plugins_whatever_keys_it_has_and_a_directory_is_not_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let text = r#"{"name":"n","type":"bridge","plugins":[{"type":"a"},{"type":"b"}]}"#;
        write(dir.path(), &[("0.conflist/x", ""), ("1.conflist", text), ("n/0.conf/x", "")]);
        let found = chosen(read(&[dir.path()], None));
        assert_eq!(found.list.plugins.iter().map(Plugin::kind).collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn a_broken_first_file_is_told_and_not_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &[("1.conf", "{"), ("2.conf", &network("a", "x"))]);
        match read(&[dir.path()], None) {
            Found::Broken { file, why } => assert!(file.ends_with("1.conf") && why.contains("line 1"), "{why}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(chosen(read(&[dir.path()], Some("a"))).list.name, "a");
        assert!(matches!(read(&[dir.path()], Some("b")), Found::Broken { .. }));
    }

    #[test]
    fn several_directories_are_one_and_a_second_network_of_one_name_has_no_effect() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        write(one.path(), &[("5.conf", &network("n", "one")), ("6.conf", &network("n", "six"))]);
        write(two.path(), &[("5.conf", &network("n", "two"))]);
        let found = chosen(read(&[one.path(), two.path()], None));
        assert_eq!(found.list.plugins[0].kind(), "one");
        assert_eq!(found.shadowed, [one.path().join("6.conf")]);
    }

    #[test]
    fn plugins_of_a_networks_own_directory_are_read_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let (b, a) = (r#"{"type":"b"}"#, r#"{"type":"a"}"#);
        write(dir.path(), &[("1.conflist", &network("n", "x")), ("n/2.conf", b), ("n/1.conf", a), ("n/3.json", "{")]);
        let found = chosen(read(&[dir.path()], None));
        assert_eq!(found.list.plugins.iter().map(Plugin::kind).collect::<Vec<_>>(), ["x", "a", "b"]);
        write(dir.path(), &[("n/0.conf", "{")]);
        assert!(matches!(read(&[dir.path()], None), Found::Broken { why, .. } if why.contains("n/0.conf")));
    }

    #[test]
    fn a_pipe_and_a_file_without_an_end_hold_nobody_up() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/zero", dir.path().join("1.conf")).unwrap();
        assert!(matches!(read(&[dir.path()], None), Found::Broken { why, .. } if why.contains("regular")));
    }
}
