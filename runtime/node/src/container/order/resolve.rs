// SPDX-License-Identifier: Apache-2.0
//! Resolves the command and its user: the request with the image's defaults filled in, as the record keeps it.

use super::{environment, paths, security};
use crate::container::{Process, signal};
use crate::error::{Error, Result};
use gorae_proto::cri;
use std::collections::BTreeSet;

/// Largest number of volumes that an image may declare.
const MAX_VOLUMES: usize = 128;

/// The image's settings for the process. Each is empty when the image does not set it.
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
/// `InvalidArgument` when there is no command, for NUL bytes, and for invalid users.
pub fn resolve(config: &cri::ContainerConfig, image: &ImageDefaults, hostname: &str) -> Result<Process> {
    let security = security::context(config);
    let (user, group) = identity(security, &image.user)?;
    let asked = if config.working_dir.is_empty() { &image.cwd } else { &config.working_dir };
    let cwd = if asked.starts_with('/') { asked.clone() } else { format!("/{asked}") };
    Ok(Process {
        args: command(config, image)?,
        env: environment::build(config, &image.env, hostname)?,
        cwd: paths::clean("working_dir", &cwd)?,
        user,
        group,
        stop_signal: stop_signal(config, &image.stop_signal)?,
        volumes: volumes(&image.volumes)?,
    })
}

fn volumes(declared: &[String]) -> Result<Vec<String>> {
    if declared.len() > MAX_VOLUMES {
        return Err(Error::invalid(format!("the image declares more than {MAX_VOLUMES} volumes")));
    }
    let clean = |v: &String| paths::clean("image volume", &format!("/{}", v.trim_start_matches('/')));
    // Sorted and without duplicates: a volume keeps its number, in whatever order the image lists them.
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
        return Err(Error::invalid("no command specified: neither the request nor the image has one"));
    }
    if args.iter().any(|a| a.contains('\0')) {
        return Err(Error::invalid("an argument of the command has a NUL byte"));
    }
    Ok(args)
}

/// The user and the group, neither of them empty.
fn identity(
    security: &cri::LinuxContainerSecurityContext,
    image_user: &str,
) -> Result<(Option<String>, Option<String>)> {
    let number = |field: &str, value: i64| match u32::try_from(value) {
        Ok(id) if id != u32::MAX => Ok(id.to_string()),
        _ => Err(Error::invalid(format!("{field}: {value} is not an id (0 to {})", u32::MAX - 1))),
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
        (Some(user), group) => Ok((checked_name(&user)?, group)),
        (None, Some(_)) => Err(Error::invalid("run_as_group is set without run_as_user or run_as_username")),
        (None, None) => {
            let (user, group) = image_user.split_once(':').unwrap_or((image_user, ""));
            Ok((checked_name(user)?, checked_name(group)?))
        }
    }
}

fn checked_name(name: &str) -> Result<Option<String>> {
    if name.len() > 256 || name.contains([':', '\n', '\0']) {
        return Err(Error::invalid(format!("user {name:?} is not a user name")));
    }
    Ok(Some(name.to_owned()).filter(|name| !name.is_empty()))
}

fn stop_signal(config: &cri::ContainerConfig, image: &str) -> Result<i32> {
    let asked = cri::Signal::try_from(config.stop_signal)
        .map_err(|_| Error::invalid(format!("stop_signal: {} is not a signal", config.stop_signal)))?;
    if let Some(number) = signal::from_cri(asked) {
        return Ok(number);
    }
    if image.is_empty() {
        return Ok(signal::DEFAULT);
    }
    // An image is not the client's fault: a bad signal in it must not make it unusable.
    Ok(signal::parse(image).unwrap_or_else(|| {
        tracing::warn!(stop_signal = image, "the image's stop signal is not a valid signal; using SIGTERM");
        signal::DEFAULT
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cri::{Int64Value, LinuxContainerSecurityContext};

    fn image() -> ImageDefaults {
        ImageDefaults {
            entrypoint: vec!["/entry".into()],
            cmd: vec!["cmd".into()],
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
    fn the_user_is_the_requests_else_the_images() {
        let context = |user: Option<i64>, name: &str, group: Option<i64>| LinuxContainerSecurityContext {
            run_as_user: user.map(|value| Int64Value { value }),
            run_as_group: group.map(|value| Int64Value { value }),
            run_as_username: name.into(),
            ..Default::default()
        };
        let pair = |a: &str, b: Option<&str>| (Some(a.to_owned()), b.map(str::to_owned));
        assert_eq!(identity(&context(None, "", None), "web:staff").expect("image"), pair("web", Some("staff")));
        assert_eq!(identity(&context(Some(5), "", None), "web:staff").expect("uid"), pair("5", None));
        assert_eq!(identity(&context(Some(5), "", Some(6)), "web").expect("both"), pair("5", Some("6")));
        assert_eq!(identity(&context(None, "bob", Some(6)), "web").expect("name"), pair("bob", Some("6")));
        assert_eq!(identity(&context(None, "", None), "").expect("neither"), (None, None));
        assert_eq!(identity(&context(None, "", None), ":5").expect("a group alone"), (None, Some("5".to_owned())));
        for (user, name, group) in
            [(None, "", Some(1)), (Some(-1), "", None), (Some(1 << 32), "", None), (Some(1), "bob", None)]
        {
            assert!(identity(&context(user, name, group), "").is_err(), "{user:?} {name} {group:?}");
        }
    }
}
