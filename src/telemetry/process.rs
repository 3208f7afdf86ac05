//! What the process and the GPUs beside it use, looked at every few seconds.
//!
//! From a thread of its own: a driver that hangs stops these numbers and nothing else.

use std::ffi::OsStr;
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::Duration;

use nvml_wrapper::{Device, Nvml};

use super::metrics::{self, GpuUse, ProcessUse};

/// How often is looked.
const INTERVAL: Duration = Duration::from_secs(5);
/// The driver's library, as it is called where only the driver is installed, and else.
const LIBRARIES: [&str; 2] = ["libnvidia-ml.so.1", "libnvidia-ml.so"];

/// Looks for as long as it lives.
#[derive(Debug)]
pub(super) struct Sampler {
    _stop: SyncSender<()>,
}

impl Sampler {
    /// Looks once at the process, then at everything in intervals. Where no thread can be started,
    /// the first look is the last.
    pub(super) fn start() -> Self {
        metrics::set_process(process());
        let (stop, stopped) = mpsc::sync_channel::<()>(1);
        let looking = move || {
            let gpus = Gpus::open(&LIBRARIES);
            loop {
                metrics::set_process(process());
                if let Some(gpus) = &gpus {
                    gpus.look().for_each(|gpu| metrics::set_gpu(&gpu));
                }
                match stopped.recv_timeout(INTERVAL) {
                    Err(RecvTimeoutError::Timeout) => {}
                    Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        };
        if let Err(error) = thread::Builder::new().name("telemetry".to_owned()).spawn(looking) {
            tracing::warn!(%error, "no thread to look at memory, processors and GPUs");
        }
        Self { _stop: stop }
    }
}

/// What this process uses now; nothing of what the system does not tell.
fn process() -> ProcessUse {
    let now = metrics_process::collector::collect();
    ProcessUse {
        cpu: now.cpu_seconds_total.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
        resident_bytes: now.resident_memory_bytes,
        virtual_bytes: now.virtual_memory_bytes,
        open_files: now.open_fds,
        // 0 says that there is no limit.
        max_open_files: now.max_fds.filter(|limit| *limit > 0),
        threads: now.threads,
    }
}

/// The GPUs that NVIDIA's driver shows to this process.
struct Gpus(Nvml);

impl Gpus {
    /// None where there is no driver: that is as it should be on most machines, so nobody is told.
    fn open(libraries: &[&str]) -> Option<Self> {
        libraries
            .iter()
            .find_map(|library| Nvml::builder().lib_path(OsStr::new(library)).init().ok())
            .map(Self)
    }

    fn look(&self) -> impl Iterator<Item = GpuUse> {
        let count = self.0.device_count().unwrap_or(0);
        (0..count)
            .filter_map(|index| self.0.device_by_index(index).ok())
            .filter_map(|gpu| used(&gpu))
    }
}

fn used(gpu: &Device) -> Option<GpuUse> {
    let memory = gpu.memory_info().ok();
    Some(GpuUse {
        index: gpu.index().ok()?,
        uuid: gpu.uuid().ok()?,
        used_bytes: memory.as_ref().map(|memory| memory.used),
        total_bytes: memory.as_ref().map(|memory| memory.total),
        busy_percent: gpu.utilization_rates().ok().map(|rates| rates.gpu),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_knows_what_it_uses() {
        let now = process();
        assert!(now.resident_bytes.unwrap() > 1 << 20, "{now:?}");
        assert!(now.virtual_bytes > now.resident_bytes, "{now:?}");
        assert!(now.threads.unwrap() >= 1 && now.open_files.unwrap() >= 3, "{now:?}");
        assert!(now.cpu.is_some(), "{now:?}");
    }

    #[test]
    fn a_machine_without_a_driver_has_no_gpus() {
        assert!(Gpus::open(&["libno-such-driver.so"]).is_none());
        // Where there is one, it tells.
        let Some(gpus) = Gpus::open(&LIBRARIES) else { return };
        let seen: Vec<GpuUse> = gpus.look().collect();
        assert!(!seen.is_empty());
        for gpu in seen {
            assert!(gpu.used_bytes <= gpu.total_bytes && !gpu.uuid.is_empty(), "{gpu:?}");
            assert!(gpu.busy_percent.is_none_or(|percent| percent <= 100), "{gpu:?}");
        }
    }
}
