// SPDX-License-Identifier: Apache-2.0
//! Layers to begin with: every kind of member and header, and the ways out that have been tried elsewhere.

use super::blob::{ESCAPED, compressed};
use gorae_unpack::fixture::Tar;
use std::iter::repeat_n;
use tar::{EntryType, GnuExtSparseHeader, Header};

pub fn seeds() -> Vec<Vec<u8>> {
    let tars =
        [usual(), ways_out(), replacing(), whiteouts(), pax(), gnu(), sparse_old(), sparse_new(), deep(), ustar()];
    let mut seeds: Vec<_> = tars.iter().map(|tar| [&[1], &tar[..]].concat()).collect();
    let blobs = [tars[0].clone(), compressed(2, &tars[0]), compressed(3, &tars[0])];
    seeds.extend(blobs.iter().map(|blob| [&[0], &blob[..]].concat()));
    seeds.extend([[&[2], &tars[2][..]].concat(), [&[3], &tars[1][..]].concat()]);
    // A skippable frame before one with content, and two gzip members.
    seeds.push([&[0][..], &[0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 9], &blobs[2]].concat());
    seeds.push([&[0][..], &compressed(2, &tars[0][..512]), &compressed(2, &tars[0][512..])].concat());
    seeds
}

fn usual() -> Vec<u8> {
    Tar::default()
        .dir("./")
        .dir("etc/")
        .member("etc/passwd", EntryType::Regular, b"root\n", |header| header.set_mode(0o4755))
        .link("etc/hard", EntryType::Link, "etc/passwd")
        .link("etc/soft", EntryType::Symlink, "/etc/passwd")
        .node("dev/null", EntryType::Char)
        .node("dev/disk", EntryType::Block)
        .member("dev/fifo", EntryType::Fifo, b"", |_| {})
        .file("implied/deep/file", "x")
        .end()
}

/// Links and names towards `outside`, which is beside the layer, and towards the root directory.
fn ways_out() -> Vec<u8> {
    Tar::default()
        .link("up", EntryType::Symlink, "../outside")
        .file("up/planted", "x")
        .link("top", EntryType::Symlink, "/")
        .file(&format!("top{ESCAPED}"), "x")
        .file(ESCAPED, "x")
        .link("one", EntryType::Symlink, "two")
        .link("two", EntryType::Symlink, "../../../../../../../..")
        .file(&format!("one{ESCAPED}"), "x")
        .link("hard", EntryType::Link, "up")
        .link("up", EntryType::Link, "two")
        .link("self", EntryType::Symlink, "/proc/self/root")
        .file(&format!("self{ESCAPED}"), "x")
        .file("a/../../outside/x", "x")
        .end()
}

fn replacing() -> Vec<u8> {
    Tar::default()
        .file("x", "1")
        .link("y", EntryType::Link, "x")
        .file("x", "22")
        .file("d/deep/er", "")
        .file("d", "file now")
        .dir("f")
        .link("f", EntryType::Symlink, "d")
        .dir("f")
        .link("f/l", EntryType::Link, "x")
        .file("f/l", "own")
        .node("f", EntryType::Char)
        .end()
}

fn whiteouts() -> Vec<u8> {
    Tar::default()
        .file("a/.wh.gone", "")
        .file("a/gone/new", "x")
        .dir("o")
        .file("o/.wh..wh..opq", "")
        .file("o/.wh..wh.plnk", "")
        .dir("o/.wh.o")
        .file("p/kept", "")
        .file(".wh.p", "")
        .link("q", EntryType::Symlink, "a")
        .file("q/.wh.r", "")
        .end()
}

fn pax() -> Vec<u8> {
    let long = format!("{}/{}", "d".repeat(120), "f".repeat(250));
    Tar::default()
        .member("global", EntryType::XGlobalHeader, b"17 comment=hello\n", |_| {})
        .pax(&[
            ("path", long.as_bytes()),
            ("uid", b"3000000000"),
            ("gid", b"5"),
            ("mtime", b"-1700000000.123456789"),
            ("SCHILY.xattr.user.note", b"a=b"),
            ("SCHILY.xattr.trusted.overlay.redirect", b"/secret"),
            ("SCHILY.xattr.system.posix_acl_access", b"\x02\0\0\0"),
        ])
        .file("short", "data")
        .pax(&[("size", &b"3"[..]), ("path", b"")])
        .member("sized", EntryType::Regular, b"abc", |header| header.set_size(0))
        .pax(&[("linkpath", &b"../../outside"[..])])
        .link("l", EntryType::Symlink, "x")
        .end()
}

fn gnu() -> Vec<u8> {
    let name = format!("gnu/{}\0", "g".repeat(200));
    Tar::default()
        .member("././@LongLink", EntryType::GNULongName, name.as_bytes(), |_| {})
        .file("cut", "long")
        .member("././@LongLink", EntryType::GNULongLink, &[b't'; 300], |_| {})
        .link("sym", EntryType::Symlink, "cut")
        .member("big", EntryType::Regular, b"abc", |header| header.set_uid(3_000_000_000))
        .end()
}

fn sparse_old() -> Vec<u8> {
    let pieces = |header: &mut Header, extended| {
        let gnu = header.as_gnu_mut().expect("GNU");
        gnu.set_real_size(100_000);
        gnu.sparse[0].set_offset(0);
        gnu.sparse[0].set_length(3);
        gnu.sparse[1].set_offset(5000);
        gnu.sparse[1].set_length(3);
        gnu.set_is_extended(extended);
    };
    let mut more = GnuExtSparseHeader::new();
    more.sparse[0].set_offset(9000);
    more.sparse[0].set_length(2);
    let extended = [more.as_bytes(), &b"abcdefgh"[..]].concat();
    Tar::default()
        .file("dense", &"x".repeat(20_000))
        .member("old", EntryType::GNUSparse, b"abcdef", |header| pieces(header, false))
        .member("more", EntryType::GNUSparse, &extended, |header| {
            pieces(header, true);
            header.set_size(8);
        })
        .file("old", "no longer sparse")
        .end()
}

fn sparse_new() -> Vec<u8> {
    let map: Vec<u8> = b"2\n0\n1\n5000\n4\n".iter().copied().chain(repeat_n(0, 499)).chain(*b"vwxyz").collect();
    Tar::default()
        .pax(&[
            ("GNU.sparse.major", &b"1"[..]),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.name", b"new"),
            ("GNU.sparse.realsize", b"20000"),
        ])
        .member("GNUSparseFile.0/new", EntryType::Regular, &map, |_| {})
        .pax(&[("GNU.sparse.size", &b"10"[..]), ("GNU.sparse.map", b"2,2,8,1")])
        .file("mapped", "123")
        .pax(&[
            ("GNU.sparse.size", &b"9"[..]),
            ("GNU.sparse.numblocks", b"1"),
            ("GNU.sparse.offset", b"4"),
            ("GNU.sparse.numbytes", b"3"),
        ])
        .file("first", "123")
        .link("new", EntryType::Symlink, "first")
        .end()
}

/// Directories to the limit, and links that lead deeper.
fn deep() -> Vec<u8> {
    Tar::default()
        .file("1/2/3/4/5/6/7/8/9/a/b/c", "x")
        .link("l", EntryType::Symlink, "1/2/3/4/5/6/7/8/9/a")
        .file("l/n/f", "x")
        .link("l/m", EntryType::Symlink, "../../l/n")
        .file("l/m/g", "x")
        .file("1", "x")
        .end()
}

fn ustar() -> Vec<u8> {
    let mut header = Header::new_ustar();
    header.set_path(format!("{}/file", "prefix".repeat(20))).expect("it is short enough");
    header.set_mode(0o644);
    header.set_uid(1);
    header.set_gid(1);
    header.set_mtime(0);
    header.set_size(3);
    header.set_cksum();
    [&header.as_bytes()[..], &[b'x'; 512], &[0; 1024]].concat()
}
