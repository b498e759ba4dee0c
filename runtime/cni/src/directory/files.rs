// SPDX-License-Identifier: Apache-2.0
//! Lists and reads configuration files.

use crate::list::{Invalid, List, MAX_BYTES, MAX_PLUGINS, Plugin, json, parse, parse_list};
use serde_json::Value;
use std::ffi::OsString;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The most files that are looked at.
const MAX_FILES: usize = 1024;

/// The files of a network each, in the order in which they count.
///
/// # Errors
/// A directory that cannot be read, and why.
pub fn list(directories: &[PathBuf]) -> Result<Vec<PathBuf>, (PathBuf, String)> {
    let mut all: Vec<(OsString, PathBuf)> = Vec::new();
    for directory in directories {
        let names = names(directory, &["conf", "conflist", "json"]).map_err(|why| (directory.clone(), why))?;
        for name in names {
            if !all.iter().any(|(earlier, _)| *earlier == name) {
                all.push((name.clone(), directory.join(name)));
            }
        }
    }
    all.sort_by(|(a, _), (b, _)| a.as_bytes().cmp(b.as_bytes()));
    Ok(all.into_iter().map(|(_, path)| path).collect())
}

/// The names in a directory with one of these extensions, in byte-wise order. Editors' files, which begin with a dot, do
/// not count.
fn names(directory: &Path, extensions: &[&str]) -> Result<Vec<OsString>, String> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e.to_string()),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| e.to_string())?;
        let name = entry.file_name();
        let extension = Path::new(&name).extension().and_then(|e| e.to_str());
        let is_named = !name.as_bytes().starts_with(b".") && extension.is_some_and(|e| extensions.contains(&e));
        // libcni passes over directories, too.
        if is_named && !entry.file_type().map_err(|e| e.to_string())?.is_dir() {
            names.push(name);
        }
        if names.len() > MAX_FILES {
            return Err(format!("it has more than {MAX_FILES} configuration files"));
        }
    }
    names.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    Ok(names)
}

/// Reads a network's file, with the plugins in the directory that is named like the network.
///
/// # Errors
/// [`Invalid`]; the kernel's error counts as one.
pub fn read(file: &Path) -> Result<List, Invalid> {
    let extra = |network: &str| match file.parent() {
        Some(directory) => extra(&directory.join(network)),
        None => Ok(Vec::new()),
    };
    let bytes = bytes(file)?;
    if file.extension().is_some_and(|extension| extension == "conflist") {
        parse_list(&bytes, extra)
    } else {
        parse(&bytes, extra)
    }
}

fn extra(directory: &Path) -> Result<Vec<Plugin>, Invalid> {
    let within = |what: &Path, why: &dyn std::fmt::Display| Invalid::new(format!("{}: {why}", what.display()));
    let names = match std::fs::metadata(directory) {
        Ok(found) if found.is_dir() => names(directory, &["conf"]).map_err(|why| within(directory, &why))?,
        _ => return Ok(Vec::new()),
    };
    if names.len() > MAX_PLUGINS {
        return Err(within(directory, &format!("it has more than {MAX_PLUGINS} plugins")));
    }
    let read = |path: PathBuf| {
        let bytes = bytes(&path).map_err(|why| within(&path, &why))?;
        let object: Value = json(&bytes)
            .map_err(|e| within(&path, &format!("it is not JSON (line {}, column {})", e.line(), e.column())))?;
        Plugin::new(object).map_err(|why| within(&path, &why))
    };
    names.into_iter().map(|name| read(directory.join(name))).collect()
}

/// Reads a file of a bounded size. A pipe under such a name must not hold anybody up.
fn bytes(path: &Path) -> Result<Vec<u8>, Invalid> {
    let fail = |e: std::io::Error| Invalid::new(e.to_string());
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path).map_err(fail)?;
    if !file.metadata().map_err(fail)?.is_file() {
        return Err(Invalid::new("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(fail)?;
    Ok(bytes)
}
