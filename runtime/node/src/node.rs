// SPDX-License-Identifier: Apache-2.0
//! The node: what every verb works with, and the one place where a shim's word becomes a container's state.

use crate::container::{self, Container, State, spec};
use crate::error::{Error, Result};
use crate::events::Events;
use crate::index::Index;
use crate::limits::OpenFiles;
use crate::operations::Operations;
use crate::pod::{self, Places, Pod};
use crate::settings::{MissingHostPath, Settings};
use crate::{clock, ids, records};
use gorae_cgroups::Hierarchies;
use gorae_image_service::Images;
use gorae_network::Network;
use gorae_proto::cri::{self, NamespaceMode};
use gorae_proto::shim::{self as wire, CgroupLayout, CgroupPlace, CleanContainer, container_state::Phase};
use gorae_shims::{self as shims, DevicePrograms, Spawner};
use gorae_stats::Stats;
use std::cmp::Reverse;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// The first pause before another try to settle a container.
const CLEAN_PAUSE: Duration = Duration::from_secs(1);
/// The longest one: what comes back is noticed that fast.
const CLEAN_LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// Everything of one daemon.
#[derive(Debug)]
pub struct Node {
    /// The checked configuration.
    pub settings: Settings,
    /// Directories.
    pub places: Places,
    /// Where cgroups are mounted.
    pub layout: CgroupLayout,
    /// What is mounted there, held open.
    pub hierarchies: Arc<Hierarchies>,
    /// Which boot this is; tells dead processes from live ones.
    pub boot_id: String,
    /// The limit of open files that containers get.
    pub open_files: OpenFiles,
    /// Starts shims.
    pub spawner: Spawner,
    /// What they have loaded.
    pub device_programs: DevicePrograms,
    /// Images.
    pub images: Images,
    /// The built-in network.
    pub network: Network,
    /// Reads usage numbers.
    pub stats: Stats,
    /// Pods.
    pub pods: Index<Pod>,
    /// Containers.
    pub containers: Index<Container>,
    /// RunPodSandbox in flight.
    pub runs: Operations,
    /// CreateContainer in flight.
    pub creates: Operations,
    /// Log directories that are being made, by path: one that hangs costs one thread, however often it is asked for.
    pub log_directories: Operations,
    /// Changes, for GetContainerEvents.
    pub events: Events,
}

impl Node {
    /// The containers of a pod, the newest first: of several with one name kubelet takes the first for the current one.
    pub fn containers_of(&self, pod_id: &str) -> Vec<Arc<Container>> {
        let mut all: Vec<_> = self.containers.all().into_iter().filter(|c| c.record().pod_id == pod_id).collect();
        all.sort_by_key(|c| Reverse(c.record().created_at));
        all
    }

    /// Checks a runtime handler of a request; the empty name means the built-in one.
    ///
    /// # Errors
    /// `InvalidArgument` for a name that is not configured, with those that are.
    pub fn check_handler(&self, handler: &str) -> Result<()> {
        let handlers = &self.settings.handlers;
        if handler.is_empty() || handlers.iter().any(|name| name == handler) {
            return Ok(());
        }
        let asked: String = handler.chars().take(64).collect();
        let names = handlers.join(", ");
        Err(Error::invalid(format!(
            "runtime handler {asked:?} is not configured on this node, which has {names}; name it in goraed's \
             configuration ([runtimes.NAME], kind = \"native\") if that is to run its pods"
        )))
    }

    /// The name that the pod's processes see: the one it asks for, or the node's.
    pub fn hostname_of(&self, record: &pod::Record) -> String {
        if record.config.hostname.is_empty() {
            let name = nix::unistd::gethostname().unwrap_or_default();
            return name.to_string_lossy().into_owned();
        }
        record.config.hostname.clone()
    }

    /// Facts of the node for one container's spec.
    ///
    /// # Errors
    /// `InvalidArgument` when the target of pid mode TARGET is not named or is in another pod.
    pub fn spec_context(&self, pod: &Pod, record: &container::Record) -> Result<spec::Context<'_>> {
        let options = spec::security_context(&record.config).namespace_options;
        let target = match options.filter(|o| o.pid() == NamespaceMode::Target) {
            Some(options) => self.target(pod, &options.target_id)?,
            None => None,
        };
        Ok(spec::Context {
            layout: &self.layout,
            places: &self.places,
            target,
            open_files: self.open_files,
            make_missing_sources: self.settings.missing_host_path == MissingHostPath::Create,
        })
    }

    fn target(&self, pod: &Pod, target: &str) -> Result<Option<(u32, u64)>> {
        let container = self.containers.find(target).map_err(|e| e.during("pid mode TARGET"))?;
        if container.record().pod_id != pod.id() {
            return Err(Error::invalid(format!("pid mode TARGET: container {target} is in another pod")));
        }
        match container.state() {
            State::Running { pid, start_ticks, .. } => Ok(Some((pid, start_ticks))),
            _ => Ok(None),
        }
    }

    /// What a container's record keeps of its image.
    ///
    /// # Errors
    /// `NotFound` when the image went away in this instant.
    pub fn describe_image(
        &self,
        id: &str,
        config: &cri::ContainerConfig,
        layers: Vec<PathBuf>,
    ) -> Result<container::Image> {
        let asked = config.image.as_ref().map(|i| i.image.clone()).unwrap_or_default();
        let image = self
            .images
            .find(id)?
            .ok_or_else(|| Error::not_found(format!("image {asked:?} does not exist on this node; pull it first")))?;
        Ok(container::Image {
            id: image.id.clone(),
            reference: image.repo_digests.first().cloned().unwrap_or_else(|| image.id.clone()),
            name: image.repo_tags.first().cloned().unwrap_or(asked),
            layers,
        })
    }

    /// Takes in what a container's shim says about it, and keeps an end for the time after a restart of the machine.
    pub async fn shim_said(&self, container: &Arc<Container>, state: &wire::ContainerState) {
        if let Some(stopping) = &state.stopping {
            container.stuck.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&stopping.stuck);
        }
        if !state.hook_error.is_empty() {
            let container = ids::short(&state.container_id);
            tracing::warn!(container, error = %state.hook_error, "a poststop hook failed");
        }
        let next = State::from_shim(state);
        if !self.tell(container, next.clone()) {
            return;
        }
        // Told first: nobody waits for the disk.
        if let State::Exited(exit) = next {
            let id = container.record().id.clone();
            container::end::keep(self.places.container_root(&id), &id, &exit).await;
        }
    }

    /// Makes a container's move and tells it; false when it is none.
    fn tell(&self, container: &Arc<Container>, next: State) -> bool {
        // The reply to a start and the push of the end come on two ways: one word after the other.
        let turn = self.events.turn();
        let was_running = matches!(container.state(), State::Running { .. });
        if !container.move_to(next.clone()) {
            return false;
        }
        match next {
            State::Running { .. } => turn.container_started(self, container),
            State::Exited(exit) => {
                if !was_running && exit.started_at > 0 {
                    turn.container_started(self, container);
                }
                turn.container_stopped(self, container);
                let record = container.record();
                tracing::info!(
                    container = ids::short(&record.id),
                    code = exit.code,
                    reason = %exit.reason,
                    "container has ended"
                );
            }
            State::Created | State::Starting => {}
        }
        true
    }

    /// The shim's state record; `None` when there is none.
    ///
    /// # Errors
    /// As [`records::read`].
    pub fn state_on_disk(&self, container_id: &str) -> Result<Option<wire::ContainerState>> {
        container::read_state(&self.places.container_run(container_id))
    }

    /// The connection to a container's shim ended: the container has, too, or its shim was killed.
    pub async fn shim_gone(self: &Arc<Self>, container: &Arc<Container>) {
        let record = container.record();
        match self.state_on_disk(&record.id) {
            Ok(Some(state)) if state.phase() == Phase::Exited => {
                self.shim_said(container, &state).await;
                return;
            }
            // Never told to start, or refused before anything was made.
            Ok(None) if !matches!(container.state(), State::Running { .. }) => {
                container.back_to_created();
                return;
            }
            Ok(_) => {}
            Err(error) => tracing::error!(container = ids::short(&record.id), %error, "state is unreadable"),
        }
        if self.containers.get(&record.id).is_none() || matches!(container.state(), State::Exited(_)) {
            return;
        }
        tracing::error!(container = ids::short(&record.id), "the container's shim died; ending the container");
        if let Err(error) = self.clean_container(container).await {
            tracing::error!(container = ids::short(&record.id), %error, "cannot settle the container yet");
            self.clean_later(container);
        }
    }

    /// Tries until it works: a process that does not die now does when its file system is back.
    pub(crate) fn clean_later(self: &Arc<Self>, container: &Arc<Container>) {
        if container.retrying.swap(true, Ordering::SeqCst) {
            return;
        }
        let (node, container) = (self.clone(), container.clone());
        tokio::spawn(async move {
            let (id, mut pause) = (container.record().id.clone(), CLEAN_PAUSE);
            loop {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(CLEAN_LONGEST_PAUSE);
                let over = node.containers.get(&id).is_none() || matches!(container.state(), State::Exited(_));
                if over || node.clean_container(&container).await.is_ok() {
                    break;
                }
            }
            container.retrying.store(false, Ordering::SeqCst);
        });
    }

    /// Has a throw-away shim settle a container whose shim is gone, and takes the result in.
    ///
    /// # Errors
    /// The shim's failure.
    pub async fn clean_container(&self, container: &Arc<Container>) -> Result<()> {
        self.end_container(container, None).await
    }

    /// [`Self::clean_container`], also while its shim is there and hangs. `end` is what is told when nobody saw the
    /// container's own.
    ///
    /// # Errors
    /// The throw-away shim's failure: something of the container does not die.
    pub async fn end_container(&self, container: &Arc<Container>, end: Option<wire::End>) -> Result<()> {
        let record = container.record();
        let run_dir = self.places.container_run(&record.id);
        let _turn = container.cleaning.lock().await;
        // Gone with the state directory: the processes need not be.
        records::make_dir(&run_dir)?;
        let clean = CleanContainer {
            container_id: record.id.clone(),
            run_dir: run_dir.to_string_lossy().into_owned(),
            cgroup: Some(CgroupPlace { layout: Some(self.layout.clone()), path: record.cgroup.clone() }),
            hooks: spec::hooks::after_the_end(&record, &run_dir.to_string_lossy()),
            end,
        };
        let mut state = shims::clean_container(&self.spawner, clean).await?;
        if state.phase() != Phase::Exited {
            state.set_phase(Phase::Exited);
            state.exit_code = 255;
            state.reason = "Unknown".into();
            state.finished_at_ns = clock::now_ns();
        }
        self.shim_said(container, &state).await;
        Ok(())
    }
}
