// SPDX-License-Identifier: Apache-2.0
//! The process: command, environment, user, and what it may do.

use super::security;
use crate::container::{Process, Record, signal};
use crate::error::{Error, Result};
use crate::open_files::OpenFiles;
use gorae_proto::cri::{self, SupplementalGroupsPolicy};
use gorae_proto::shim;
use gorae_seccomp::capabilities;
use std::collections::BTreeSet;

/// PATH of a container whose image and request set none.
const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// getrlimit(2).
const RLIMIT_NOFILE: u32 = libc::RLIMIT_NOFILE;
/// Most environment entries; the kernel's own limit of bytes comes later, at execve.
const MAX_ENV: usize = 65_536;

/// What an image says about the process, each part empty when the image does not say.
#[derive(Debug, Clone, Default)]
pub struct ImageDefaults {
    /// `Entrypoint`.
    pub entrypoint: Vec<String>,
    /// `Cmd`.
    pub cmd: Vec<String>,
    /// `Env`.
    pub env: Vec<String>,
    /// `WorkingDir`.
    pub cwd: String,
    /// `User`: `user`, `user:group`, names or numbers.
    pub user: String,
    /// `StopSignal`.
    pub stop_signal: String,
    /// `Volumes`.
    pub volumes: Vec<String>,
}

/// Fills the image's defaults into the request.
///
/// # Errors
/// `InvalidArgument` when nothing says what to run, for NUL bytes, and for impossible users.
pub fn resolve(config: &cri::ContainerConfig, image: &ImageDefaults, hostname: &str) -> Result<Process> {
    let security = super::security_context(config);
    let (user, group) = identity(&security, &image.user)?;
    let asked = if config.working_dir.is_empty() { &image.cwd } else { &config.working_dir };
    let cwd = if asked.starts_with('/') { asked.clone() } else { format!("/{asked}") };
    Ok(Process {
        args: command(config, image)?,
        env: environment(config, &image.env, hostname)?,
        cwd: super::clean_path("working_dir", &cwd)?,
        user,
        group,
        stop_signal: stop_signal(config, &image.stop_signal)?,
        volumes: volumes(&image.volumes)?,
    })
}

/// Most volumes that an image may declare.
const MAX_VOLUMES: usize = 128;

fn volumes(declared: &[String]) -> Result<Vec<String>> {
    if declared.len() > MAX_VOLUMES {
        return Err(Error::invalid(format!("the image declares more than {MAX_VOLUMES} volumes")));
    }
    let clean = |v: &String| super::clean_path("image volume", &format!("/{}", v.trim_start_matches('/')));
    // Sorted, and none twice: a volume keeps its number, however the image's file lists them.
    let volumes: BTreeSet<String> = declared.iter().map(clean).collect::<Result<_>>()?;
    Ok(volumes.into_iter().collect())
}

fn command(config: &cri::ContainerConfig, image: &ImageDefaults) -> Result<Vec<String>> {
    let (mut args, rest) = match (config.command.is_empty(), config.args.is_empty()) {
        (true, true) => (image.entrypoint.clone(), &image.cmd),
        (true, false) => (image.entrypoint.clone(), &config.args),
        (false, _) => (config.command.clone(), &config.args),
    };
    args.extend(rest.iter().cloned());
    if args.is_empty() || args[0].is_empty() {
        return Err(Error::invalid("no command specified: neither the request nor the image says what to run"));
    }
    if args.iter().any(|a| a.contains('\0')) {
        return Err(Error::invalid("an argument of the command has a NUL byte"));
    }
    Ok(args)
}

fn environment(config: &cri::ContainerConfig, image: &[String], hostname: &str) -> Result<Vec<Vec<u8>>> {
    if config.envs.len() + image.len() > MAX_ENV {
        return Err(Error::invalid(format!("more than {MAX_ENV} environment entries")));
    }
    let mut env: Vec<Vec<u8>> = Vec::with_capacity(image.len() + config.envs.len() + 3);
    let mut place = std::collections::HashMap::new();
    let mut set = |entry: Vec<u8>| {
        let end = entry.iter().position(|&b| b == b'=').unwrap_or(entry.len());
        match place.entry(entry[..end].to_vec()) {
            std::collections::hash_map::Entry::Occupied(at) => env[*at.get()] = entry,
            std::collections::hash_map::Entry::Vacant(at) => {
                at.insert(env.len());
                env.push(entry);
            }
        }
    };
    set(DEFAULT_PATH.as_bytes().to_vec());
    if !hostname.is_empty() {
        set(format!("HOSTNAME={hostname}").into_bytes());
    }
    if config.tty {
        set(b"TERM=xterm".to_vec());
    }
    for entry in image.iter().filter(|e| e.contains('=') && !e.starts_with('=') && !e.contains('\0')) {
        set(entry.clone().into_bytes());
    }
    for entry in &config.envs {
        if entry.key.is_empty() || entry.key.contains(['=', '\0']) || entry.value.contains(&0) {
            // What stands after a "=" is a value, and may be a secret.
            let name = entry.key.split(['=', '\0']).next().unwrap_or_default();
            let name = &name[..name.floor_char_boundary(100)];
            return Err(Error::invalid(format!("envs: {name:?} has an empty key, or = in the key, or a NUL")));
        }
        let mut bytes = entry.key.clone().into_bytes();
        bytes.push(b'=');
        bytes.extend_from_slice(&entry.value);
        set(bytes);
    }
    Ok(env)
}

/// Sets `NAME=VALUE`s, in the place of those with the same name.
pub fn change_environment(env: &mut Vec<Vec<u8>>, changes: &[String]) {
    for change in changes {
        let name = change.split_inclusive('=').next().unwrap_or_default();
        match env.iter_mut().find(|old| old.starts_with(name.as_bytes())) {
            Some(old) => *old = change.clone().into_bytes(),
            None => env.push(change.clone().into_bytes()),
        }
    }
}

fn identity(security: &cri::LinuxContainerSecurityContext, image_user: &str) -> Result<(String, String)> {
    let number = |field: &str, value: i64| match u32::try_from(value) {
        Ok(id) if id != u32::MAX => Ok(id.to_string()),
        _ => Err(Error::invalid(format!("{field}: {value} is no id (0 to {})", u32::MAX - 1))),
    };
    let group = match &security.run_as_group {
        Some(group) => Some(number("run_as_group", group.value)?),
        None => None,
    };
    let named = match (&security.run_as_user, security.run_as_username.as_str()) {
        (Some(_), name) if !name.is_empty() => {
            return Err(Error::invalid("run_as_user and run_as_username are both set"));
        }
        (Some(user), _) => Some(number("run_as_user", user.value)?),
        (None, "") => None,
        (None, name) => Some(name.to_owned()),
    };
    match (named, group) {
        (Some(user), group) => Ok((check_name(user)?, group.unwrap_or_default())),
        (None, Some(_)) => Err(Error::invalid("run_as_group is set without run_as_user or run_as_username")),
        (None, None) => {
            let (user, group) = image_user.split_once(':').unwrap_or((image_user, ""));
            Ok((check_name(user.to_owned())?, check_name(group.to_owned())?))
        }
    }
}

fn check_name(name: String) -> Result<String> {
    if name.len() > 256 || name.contains([':', '\n', '\0']) {
        return Err(Error::invalid(format!("user {name:?} is no user name")));
    }
    Ok(name)
}

fn stop_signal(config: &cri::ContainerConfig, image: &str) -> Result<i32> {
    let asked = cri::Signal::try_from(config.stop_signal)
        .map_err(|_| Error::invalid(format!("stop_signal: {} is no signal", config.stop_signal)))?;
    if let Some(number) = signal::from_cri(asked) {
        return Ok(number);
    }
    if image.is_empty() {
        return Ok(signal::DEFAULT);
    }
    // An image is not the client's fault: a bad signal in it must not make it unusable.
    Ok(signal::parse(image).unwrap_or_else(|| {
        tracing::warn!(stop_signal = image, "the image's stop signal is not one; using SIGTERM");
        signal::DEFAULT
    }))
}

/// Builds the shim's process message.
///
/// # Errors
/// `InvalidArgument` for capabilities, groups and profiles that cannot be.
pub fn build(
    record: &Record,
    open_files: OpenFiles,
    security: &cri::LinuxContainerSecurityContext,
) -> Result<shim::Process> {
    let caps = capabilities::effective(security.capabilities.as_ref(), security.privileged)
        .map_err(|e| Error::invalid(e.to_string()))?;
    let filter = security::seccomp(security, &caps)?;
    let policy = SupplementalGroupsPolicy::try_from(security.supplemental_groups_policy).map_err(|_| {
        Error::invalid(format!("supplemental_groups_policy: {} is no policy", security.supplemental_groups_policy))
    })?;
    let resources = record.config.linux.as_ref().and_then(|l| l.resources.as_ref());
    Ok(shim::Process {
        args: record.process.args.iter().map(|a| a.clone().into_bytes()).collect(),
        env: record.process.env.clone(),
        cwd: record.process.cwd.clone(),
        tty: record.config.tty,
        user: Some(shim::User {
            user: record.process.user.clone(),
            group: record.process.group.clone(),
            supplemental_gids: groups(&security.supplemental_groups, &record.cdi.gids)?,
            strict_groups: policy == SupplementalGroupsPolicy::Strict,
        }),
        capabilities: Some(caps),
        no_new_privs: security.no_new_privs,
        seccomp_filter: filter.as_ref().map(|f| f.program.to_vec()).unwrap_or_default(),
        seccomp_flags: filter.as_ref().map(|f| f.flags).unwrap_or_default(),
        oom_score_adj: resources.map(oom_score_adj).transpose()?,
        rlimits: vec![shim::Rlimit { resource: RLIMIT_NOFILE, soft: open_files.soft, hard: open_files.hard }],
        apparmor_profile: security::apparmor(security)?,
        selinux_label: String::new(),
    })
}

fn groups(asked: &[i64], cdi: &[u32]) -> Result<Vec<u32>> {
    /// NGROUPS_MAX.
    const MOST: usize = 65_536;
    if asked.len() + cdi.len() > MOST {
        return Err(Error::invalid(format!("supplemental_groups: more than {MOST}")));
    }
    let one = |&g: &i64| u32::try_from(g).ok().filter(|&g| g != u32::MAX);
    asked
        .iter()
        .map(|g| one(g).ok_or_else(|| Error::invalid(format!("supplemental_groups: {g} is no group id"))))
        .chain(cdi.iter().map(|&gid| Ok(gid)))
        .collect()
}

/// The score of a request.
///
/// # Errors
/// `InvalidArgument` for one that the kernel does not know.
pub fn oom_score_adj(resources: &cri::LinuxContainerResources) -> Result<shim::OomScoreAdj> {
    match i32::try_from(resources.oom_score_adj) {
        Ok(value) if (-1000..=1000).contains(&value) => Ok(shim::OomScoreAdj { value }),
        _ => Err(Error::invalid(format!("oom_score_adj: {} is not in -1000..1000", resources.oom_score_adj))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cri::{Int64Value, KeyValue, LinuxContainerSecurityContext};

    fn image() -> ImageDefaults {
        ImageDefaults {
            entrypoint: vec!["/entry".into()],
            cmd: vec!["cmd".into()],
            env: vec!["A=image".into(), "B=image".into()],
            user: "web:staff".into(),
            ..Default::default()
        }
    }

    #[test]
    fn the_command_rules_are_the_cris() {
        let args = |command: &[&str], args: &[&str]| {
            let own = |l: &[&str]| l.iter().map(|s| s.to_string()).collect();
            command_of(cri::ContainerConfig { command: own(command), args: own(args), ..Default::default() })
        };
        fn command_of(config: cri::ContainerConfig) -> Vec<String> {
            command(&config, &image()).expect("has a command")
        }
        assert_eq!(args(&[], &[]), ["/entry", "cmd"]);
        assert_eq!(args(&[], &["x"]), ["/entry", "x"]);
        assert_eq!(args(&["sh"], &[]), ["sh"]);
        assert_eq!(args(&["sh"], &["-c"]), ["sh", "-c"]);
        assert!(command(&cri::ContainerConfig::default(), &ImageDefaults::default()).is_err());
    }

    #[test]
    fn the_request_overrides_the_image_by_key_and_values_are_bytes() {
        let config = cri::ContainerConfig {
            envs: vec![
                KeyValue { key: "B".into(), value: vec![0xff, b'='] },
                KeyValue { key: "C".into(), value: b"new".to_vec() },
            ],
            ..Default::default()
        };
        let env = environment(&config, &image().env, "host").expect("valid");
        assert_eq!(env.iter().filter(|e| e.starts_with(b"B=")).count(), 1);
        assert!(env.contains(&b"A=image".to_vec()) && env.contains(&b"B=\xff=".to_vec()));
        assert!(env.contains(&b"HOSTNAME=host".to_vec()) && env.contains(&DEFAULT_PATH.as_bytes().to_vec()));
        for key in ["", "A=B", "A\0"] {
            let bad = KeyValue { key: key.into(), value: Vec::new() };
            let config = cri::ContainerConfig { envs: vec![bad], ..Default::default() };
            assert!(environment(&config, &[], "").is_err(), "{key:?}");
        }
    }

    #[test]
    fn the_user_is_the_requests_else_the_images() {
        let context = |user: Option<i64>, name: &str, group: Option<i64>| LinuxContainerSecurityContext {
            run_as_user: user.map(|value| Int64Value { value }),
            run_as_group: group.map(|value| Int64Value { value }),
            run_as_username: name.into(),
            ..Default::default()
        };
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(identity(&context(None, "", None), "web:staff").expect("image"), pair("web", "staff"));
        assert_eq!(identity(&context(Some(5), "", None), "web:staff").expect("uid"), pair("5", ""));
        assert_eq!(identity(&context(Some(5), "", Some(6)), "web").expect("both"), pair("5", "6"));
        assert_eq!(identity(&context(None, "bob", Some(6)), "web").expect("name"), pair("bob", "6"));
        for (user, name, group) in
            [(None, "", Some(1)), (Some(-1), "", None), (Some(1 << 32), "", None), (Some(1), "bob", None)]
        {
            assert!(identity(&context(user, name, group), "").is_err(), "{user:?} {name} {group:?}");
        }
    }
}
