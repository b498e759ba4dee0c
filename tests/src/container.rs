// SPDX-License-Identifier: Apache-2.0
//! Sentences about containers: `pod.container("sh").command(["sh"]).start().await`, `sh.exec(["id"]).await`.

use crate::cri::{Cri, spec};
use crate::images::BUSYBOX;
use crate::log;
use gorae_proto::cri::{
    ContainerConfig, ContainerMetadata, ContainerState, ContainerStatus, ContainerStatusRequest,
    CreateContainerRequest, ExecSyncRequest, KeyValue, LinuxContainerConfig, LinuxContainerResources,
    LinuxContainerSecurityContext, Mount, PodSandboxConfig, RemoveContainerRequest, ReopenContainerLogRequest,
    StartContainerRequest, StopContainerRequest,
};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tonic::Status;

/// Longest wait for a container to reach a state.
const PATIENCE: Duration = Duration::from_secs(30);

/// A container that is going to be created.
#[derive(Debug, Clone)]
pub struct ContainerBuilder {
    cri: Cri,
    pod_id: String,
    pod: PodSandboxConfig,
    config: ContainerConfig,
}

/// A container on the node.
#[derive(Debug, Clone)]
pub struct Container {
    cri: Cri,
    id: String,
    log: PathBuf,
}

/// What a command in a container did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Standard output, as text.
    pub stdout: String,
    /// Standard error, as text.
    pub stderr: String,
    /// Exit code.
    pub code: i32,
}

impl ContainerBuilder {
    /// A container of the pod with this ID and configuration: busybox, no command yet.
    #[must_use]
    pub fn new(cri: &Cri, pod_id: &str, pod: &PodSandboxConfig, name: &str) -> ContainerBuilder {
        let config = ContainerConfig {
            metadata: Some(ContainerMetadata { name: name.to_owned(), attempt: 0 }),
            image: Some(spec(BUSYBOX)),
            log_path: format!("{name}.log"),
            linux: Some(LinuxContainerConfig::default()),
            ..Default::default()
        };
        ContainerBuilder { cri: cri.clone(), pod_id: pod_id.to_owned(), pod: pod.clone(), config }
    }

    /// Uses another image; it is pulled when it is not on the node.
    #[must_use]
    pub fn image(mut self, image: &str) -> Self {
        self.config.image = Some(spec(image));
        self
    }

    /// Sets the command; the image's own is ignored then.
    #[must_use]
    pub fn command<'a>(mut self, words: impl IntoIterator<Item = &'a str>) -> Self {
        self.config.command = words.into_iter().map(str::to_owned).collect();
        self
    }

    /// Sets the command to a shell script.
    #[must_use]
    pub fn script(self, script: &str) -> Self {
        self.command(["sh", "-c", script])
    }

    /// Sets the arguments of the image's entry point.
    #[must_use]
    pub fn args<'a>(mut self, words: impl IntoIterator<Item = &'a str>) -> Self {
        self.config.args = words.into_iter().map(str::to_owned).collect();
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.config.envs.push(KeyValue { key: key.to_owned(), value: value.into() });
        self
    }

    /// Sets a label.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.config.labels.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Mounts something of the host.
    #[must_use]
    pub fn mount(self, host: &Path, container: &str) -> Self {
        let (host_path, container_path) = (host.display().to_string(), container.to_owned());
        self.with(|c| c.mounts.push(Mount { host_path, container_path, ..Mount::default() }))
    }

    /// Mounts something of the host, not to be written.
    #[must_use]
    pub fn readonly_mount(self, host: &Path, container: &str) -> Self {
        let (host_path, container_path) = (host.display().to_string(), container.to_owned());
        self.with(|c| c.mounts.push(Mount { host_path, container_path, readonly: true, ..Mount::default() }))
    }

    /// Limits its memory, swap included.
    #[must_use]
    pub fn memory_limit(self, bytes: i64) -> Self {
        self.resources(|r| {
            r.memory_limit_in_bytes = bytes;
            r.memory_swap_limit_in_bytes = bytes;
        })
    }

    /// Changes its resources.
    #[must_use]
    pub fn resources(self, change: impl FnOnce(&mut LinuxContainerResources)) -> Self {
        self.with(|c| change(c.linux.get_or_insert_default().resources.get_or_insert_default()))
    }

    /// Changes its security context.
    #[must_use]
    pub fn security(self, change: impl FnOnce(&mut LinuxContainerSecurityContext)) -> Self {
        self.with(|c| change(c.linux.get_or_insert_default().security_context.get_or_insert_default()))
    }

    /// Changes anything else of the configuration.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut ContainerConfig)) -> Self {
        change(&mut self.config);
        self
    }

    /// Has the request say something else of the pod than the pod was made by.
    #[must_use]
    pub fn in_pod_as(mut self, config: PodSandboxConfig) -> Self {
        self.pod = config;
        self
    }

    /// Creates it; panics when the runtime refuses.
    pub async fn create(self) -> Container {
        let id = self.pod_id.clone();
        self.try_create().await.unwrap_or_else(|status| panic!("create a container in pod {id}: {status:?}"))
    }

    /// Creates it, after pulling its image if need be.
    ///
    /// # Errors
    /// The status of PullImage or of CreateContainer.
    pub async fn try_create(self) -> Result<Container, Status> {
        let image = self.config.image.as_ref().map(|i| i.image.clone()).unwrap_or_default();
        if self.cri.image(&image).await?.is_none() {
            self.cri.pull(&image).await?;
        }
        self.create_as_it_is().await
    }

    /// Creates it, whether or not its image is there.
    ///
    /// # Errors
    /// The status of CreateContainer.
    pub async fn create_as_it_is(self) -> Result<Container, Status> {
        let log = Path::new(&self.pod.log_directory).join(&self.config.log_path);
        let request = CreateContainerRequest {
            pod_sandbox_id: self.pod_id,
            config: Some(self.config),
            sandbox_config: Some(self.pod),
        };
        let id = self.cri.runtime().create_container(request).await?.into_inner().container_id;
        Ok(Container { cri: self.cri, id, log })
    }

    /// Creates and starts it; panics when the runtime refuses.
    pub async fn start(self) -> Container {
        let container = self.create().await;
        container.start().await;
        container
    }
}

impl Container {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Starts it; panics when the runtime refuses.
    pub async fn start(&self) {
        self.try_start().await.unwrap_or_else(|status| panic!("start container {}: {status:?}", self.id));
    }

    /// Starts it.
    ///
    /// # Errors
    /// The status of StartContainer.
    pub async fn try_start(&self) -> Result<(), Status> {
        let request = StartContainerRequest { container_id: self.id.clone() };
        self.cri.runtime().start_container(request).await.map(drop)
    }

    /// Its status; panics when the runtime does not know it.
    pub async fn status(&self) -> ContainerStatus {
        self.try_status().await.unwrap_or_else(|status| panic!("status of container {}: {status:?}", self.id))
    }

    /// Its status.
    ///
    /// # Errors
    /// The status of ContainerStatus.
    pub async fn try_status(&self) -> Result<ContainerStatus, Status> {
        let request = ContainerStatusRequest { container_id: self.id.clone(), verbose: false };
        let answer = self.cri.runtime().container_status(request).await?.into_inner();
        Ok(answer.status.expect("an answer without an error has a status"))
    }

    /// Its verbose information under the key `info`, as JSON.
    pub async fn info(&self) -> serde_json::Value {
        let request = ContainerStatusRequest { container_id: self.id.clone(), verbose: true };
        let answer = self.cri.runtime().container_status(request).await.expect("the container is known").into_inner();
        serde_json::from_str(answer.info.get("info").expect("verbose answers have info")).expect("info is JSON")
    }

    /// Waits until it has ended and returns its last status; panics when it goes on for more than half a minute.
    pub async fn ended(&self) -> ContainerStatus {
        let begun = Instant::now();
        loop {
            let status = self.status().await;
            if status.state() == ContainerState::ContainerExited {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "container {} does not end: {status:?}", self.id);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Runs a command in it; panics when the runtime cannot.
    pub async fn exec<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Output {
        self.try_exec(words, 30).await.unwrap_or_else(|status| panic!("exec in container {}: {status:?}", self.id))
    }

    /// Runs a shell script in it; panics when the runtime cannot.
    pub async fn sh(&self, script: &str) -> Output {
        self.exec(["sh", "-c", script]).await
    }

    /// Runs a command in it, for at most so many seconds (0: no limit).
    ///
    /// # Errors
    /// The status of ExecSync.
    pub async fn try_exec<'a>(&self, words: impl IntoIterator<Item = &'a str>, seconds: i64) -> Result<Output, Status> {
        let cmd = words.into_iter().map(str::to_owned).collect();
        let request = ExecSyncRequest { container_id: self.id.clone(), cmd, timeout: seconds };
        let done = self.cri.runtime().exec_sync(request).await?.into_inner();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Output { stdout: text(&done.stdout), stderr: text(&done.stderr), code: done.exit_code })
    }

    /// Stops it, with a grace period in seconds; panics when the runtime refuses.
    pub async fn stop(&self, grace: i64) {
        self.try_stop(grace).await.unwrap_or_else(|status| panic!("stop container {}: {status:?}", self.id));
    }

    /// Stops it, with a grace period in seconds.
    ///
    /// # Errors
    /// The status of StopContainer.
    pub async fn try_stop(&self, grace: i64) -> Result<(), Status> {
        let request = StopContainerRequest { container_id: self.id.clone(), timeout: grace };
        self.cri.runtime().stop_container(request).await.map(drop)
    }

    /// Removes it; panics when the runtime refuses.
    pub async fn remove(&self) {
        self.try_remove().await.unwrap_or_else(|status| panic!("remove container {}: {status:?}", self.id));
    }

    /// Removes it.
    ///
    /// # Errors
    /// The status of RemoveContainer.
    pub async fn try_remove(&self) -> Result<(), Status> {
        let request = RemoveContainerRequest { container_id: self.id.clone() };
        self.cri.runtime().remove_container(request).await.map(drop)
    }

    /// Has its log opened again after a rotation.
    ///
    /// # Errors
    /// The status of ReopenContainerLog.
    pub async fn try_reopen_log(&self) -> Result<(), Status> {
        let request = ReopenContainerLogRequest { container_id: self.id.clone() };
        self.cri.runtime().reopen_container_log(request).await.map(drop)
    }

    /// The file of its log.
    #[must_use]
    pub fn log_file(&self) -> &Path {
        &self.log
    }

    /// The records of its log, read strictly; panics when one is not of the form.
    #[must_use]
    pub fn log_records(&self) -> Vec<log::Record> {
        let text = std::fs::read_to_string(&self.log).unwrap_or_else(|e| panic!("read {}: {e}", self.log.display()));
        log::parse(&text).unwrap_or_else(|e| panic!("{}: {e:#}", self.log.display()))
    }

    /// The lines it wrote to standard output.
    #[must_use]
    pub fn stdout(&self) -> Vec<String> {
        log::lines(&self.log_records(), "stdout")
    }

    /// Waits until a line of its standard output satisfies a condition; panics after half a minute.
    pub async fn has_printed(&self, wanted: impl Fn(&str) -> bool) {
        let begun = Instant::now();
        while !(self.log.exists() && self.stdout().iter().any(|line| wanted(line))) {
            assert!(begun.elapsed() < PATIENCE, "the line never came; the log has {:?}", self.stdout());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
