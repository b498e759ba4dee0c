// SPDX-License-Identifier: Apache-2.0
//! The lines of a pod's own name in its hosts file, one for each of its addresses, which may change while it runs.
//!
//! Its containers have the file mounted, and can write to it. So it stays the same file, and what they wrote stays in it.
//! A daemon that is killed in between does it again: a line that is there is not added, and one that is gone not missed.

use crate::error::{Error, Result};
use rustix::fs::OFlags;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::net::IpAddr;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// The largest hosts file, or other file of a host, that is read.
pub const MAX_HOST_FILE: u64 = 1 << 20;

/// What is to become of the lines.
#[derive(Debug, Clone, Copy)]
pub struct OwnLines<'a> {
    /// The pod's name; without one it has no lines.
    pub hostname: &'a str,
    /// Addresses that the pod does not have any more.
    pub gone: &'a [IpAddr],
    /// Its addresses.
    pub now: &'a [IpAddr],
}

/// One line.
pub fn line(ip: &IpAddr, hostname: &str) -> String {
    format!("{ip}\t{hostname}\n")
}

/// Brings the hosts file in a pod's directory up to date. A file that its containers made larger than a hosts file can be
/// is theirs, and is left alone.
///
/// # Errors
/// The kernel's, with the file; it can be repeated.
pub fn follow(dir: &Path, lines: &OwnLines<'_>) -> Result<()> {
    let path = dir.join("hosts");
    match rewrite(&path, lines) {
        // The pod is being removed.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done.map_err(|e| Error::io("rewrite", &path, &e)),
    }
}

fn rewrite(path: &Path, lines: &OwnLines<'_>) -> io::Result<()> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path)?;
    let Some(text) = read(&file)? else {
        tracing::warn!(path = %path.display(), most = MAX_HOST_FILE, "a hosts file is too large to be followed; it is left alone");
        return Ok(());
    };
    let new = changed(&text, lines);
    if new == text {
        return Ok(());
    }
    // One write, and only then shorter: whoever reads meanwhile sees empty lines at the worst, never a part.
    let mut whole = new.clone();
    whole.resize(new.len().max(text.len()), b'\n');
    file.write_all_at(&whole, 0)?;
    file.set_len(new.len() as u64)
}

/// `None`: it is not a file of ours any more.
fn read(mut file: &File) -> io::Result<Option<Vec<u8>>> {
    let mut text = Vec::new();
    if !file.metadata()?.is_file() {
        return Ok(None);
    }
    file.by_ref().take(MAX_HOST_FILE + 1).read_to_end(&mut text)?;
    Ok((text.len() as u64 <= MAX_HOST_FILE).then_some(text))
}

/// The file's text with the lines as they are to be: new ones follow the last that was there, or the loopback's.
fn changed(text: &[u8], own: &OwnLines<'_>) -> Vec<u8> {
    if own.hostname.is_empty() {
        return text.to_vec();
    }
    let of = |ips: &[IpAddr]| ips.iter().map(|ip| line(ip, own.hostname).into_bytes()).collect::<Vec<_>>();
    let (gone, now) = (of(own.gone), of(own.now));
    let old: Vec<&[u8]> = text.split_inclusive(|&byte| byte == b'\n').collect();
    let is_own = |line: &&[u8]| gone.iter().chain(&now).any(|own| own == line);
    let last = old.iter().rposition(is_own).or_else(|| old.iter().rposition(|line| line.starts_with(b"::1\t")));
    let new: Vec<&[u8]> = now.iter().map(Vec::as_slice).filter(|line| !old.contains(line)).collect();
    let mut text = Vec::new();
    let stays = |line: &&[u8]| !gone.iter().any(|gone| gone == line) || now.iter().any(|now| now == line);
    let (before, after) = old.split_at(last.map_or(old.len(), |last| last + 1));
    before.iter().copied().filter(|line| stays(line)).for_each(|line| text.extend_from_slice(line));
    if !new.is_empty() && !text.is_empty() && !text.ends_with(b"\n") {
        text.push(b'\n');
    }
    new.into_iter().chain(after.iter().copied().filter(|line| stays(line))).for_each(|l| text.extend_from_slice(l));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|ip| ip.parse().expect("address")).collect()
    }

    fn after(text: &str, gone: &[&str], now: &[&str]) -> String {
        let (gone, now) = (ips(gone), ips(now));
        let own = OwnLines { hostname: "box", gone: &gone, now: &now };
        let once = changed(text.as_bytes(), &own);
        assert_eq!(changed(&once, &own), once, "a second time changes nothing");
        String::from_utf8(once).expect("text")
    }

    #[test]
    fn only_the_pods_own_lines_change() {
        const HEAD: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost\n";
        for (rest, gone, now, expected) in [
            ("10.1.0.2\tbox\n", &[][..], &["10.1.0.2", "10.2.0.2"][..], "10.1.0.2\tbox\n10.2.0.2\tbox\n"),
            ("10.1.0.2\tbox\n10.2.0.2\tbox\n", &["10.2.0.2"], &["10.1.0.2"], "10.1.0.2\tbox\n"),
            ("10.1.0.2\tbox\n192.0.2.9\tmine", &["10.1.0.2"], &["fd00::2"], "fd00::2\tbox\n192.0.2.9\tmine"),
            ("192.0.2.9\tbox\n", &["10.1.0.2"], &["10.2.0.2"], "10.2.0.2\tbox\n192.0.2.9\tbox\n"),
            ("10.1.0.2 box\n10.1.0.2\tbox.lan\n", &["10.1.0.2"], &[], "10.1.0.2 box\n10.1.0.2\tbox.lan\n"),
            ("10.1.0.2\tbox\n", &["10.1.0.2"], &["10.1.0.2"], "10.1.0.2\tbox\n"),
        ] {
            assert_eq!(after(&format!("{HEAD}{rest}"), gone, now), format!("{HEAD}{expected}"), "{rest:?}");
        }
        assert_eq!(after("", &["10.1.0.2"], &["10.2.0.2"]), "10.2.0.2\tbox\n", "a container emptied it");
        assert_eq!(after("odd", &[], &["10.2.0.2"]), "odd\n10.2.0.2\tbox\n");
    }

    #[test]
    fn the_file_stays_the_same_one_and_what_is_no_hosts_file_stays_as_it_is() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("hosts");
        std::fs::write(&path, "10.1.0.2\tbox\n192.0.2.9\tmine\n").expect("written");
        let inode = std::fs::metadata(&path).expect("there").ino();
        let (gone, now) = (ips(&["10.1.0.2"]), ips(&[]));
        let own = OwnLines { hostname: "box", gone: &gone, now: &now };
        follow(dir.path(), &own).expect("rewritten");
        assert_eq!(std::fs::read_to_string(&path).expect("there"), "192.0.2.9\tmine\n");
        assert_eq!(std::fs::metadata(&path).expect("there").ino(), inode);
        File::options().write(true).open(&path).and_then(|file| file.set_len(MAX_HOST_FILE + 1)).expect("grown");
        follow(dir.path(), &OwnLines { gone: &[], now: &gone, ..own }).expect("left alone");
        assert_eq!(std::fs::metadata(&path).expect("there").len(), MAX_HOST_FILE + 1);
        std::fs::remove_file(&path).expect("removed");
        follow(dir.path(), &own).expect("a pod that is going has none");
        std::fs::write(dir.path().join("other"), "10.1.0.2\tbox\n").expect("written");
        std::os::unix::fs::symlink("other", &path).expect("link");
        follow(dir.path(), &own).expect_err("a link leads elsewhere");
    }
}
