//! One binary for CPU and GPU: it links only libtorch's CPU part, and loads the CUDA part from
//! beside it where a GPU is wanted.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};

use super::LibtorchError;

const CPU_PART: &str = "libtorch_cpu.so";
const CUDA_PART: &str = "libtorch_cuda.so";
const REMEDY: &str = "run `scripts/setup.sh cuda` for the CUDA libraries, or use the device cpu";

/// Whether the CUDA part is loaded; it never unloads.
static LOADED: Mutex<bool> = Mutex::new(false);

/// Loads libtorch's CUDA part, which registers its operators; once a process. Returns how many
/// GPUs libtorch then sees, at least 1.
///
/// Call it before the first tensor. Errors with [`LibtorchError::Cuda`] saying what to do where the
/// libraries are missing or no GPU is found.
pub fn load_cuda() -> Result<usize, LibtorchError> {
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if !*loaded {
        let maps = fs::read_to_string("/proc/self/maps").map_err(|error| {
            LibtorchError::Cuda(format!("cannot read /proc/self/maps: {error}"))
        })?;
        let cpu_part = mapped(&maps, CPU_PART)
            .ok_or_else(|| LibtorchError::Cuda(format!("{CPU_PART} is not loaded")))?;
        open(&cpu_part.with_file_name(CUDA_PART))?;
        *loaded = true;
    }
    match usize::try_from(tch::Cuda::device_count()) {
        Ok(count @ 1..) => Ok(count),
        Ok(0) | Err(_) => Err(LibtorchError::Cuda(
            "its libraries are loaded, but no GPU is found; does `nvidia-smi` see one?".into(),
        )),
    }
}

/// The file of this name among a process's memory maps (`/proc/self/maps`).
fn mapped(maps: &str, name: &str) -> Option<PathBuf> {
    maps.lines()
        .filter_map(|line| line.find('/').map(|start| Path::new(&line[start..])))
        .find(|path| path.file_name().is_some_and(|file| file == name))
        .map(Path::to_owned)
}

fn open(cuda_part: &Path) -> Result<(), LibtorchError> {
    if !cuda_part.exists() {
        let missing = cuda_part.display();
        return Err(LibtorchError::Cuda(format!("{missing} is missing; {REMEDY}")));
    }
    #[expect(unsafe_code, reason = "loading a library runs its initialisers")]
    // SAFETY: the file lies beside the libtorch that this process runs on and belongs to the same
    // release; its initialisers register operators, under libtorch's own locks. It is never
    // unloaded, so nothing it registered dangles.
    let library = unsafe { Library::open(Some(cuda_part), RTLD_NOW | RTLD_GLOBAL) };
    let library = library.map_err(|error| LibtorchError::Cuda(format!("{error}; {REMEDY}")))?;
    // Given up on purpose: see above. The handle is only a number.
    let _kept_loaded: *mut std::ffi::c_void = library.into_raw();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_found_among_the_maps() {
        let maps = "\
7f00-7f01 r--p 00000000 08:01 11 /opt/a b/torch/lib/libtorch_cpu.so.bak
7f01-7f02 r-xp 00000000 00:00 0
7f02-7f03 r--p 00000000 08:01 12 /opt/a b/torch/lib/libtorch_cpu.so
7f03-7f04 rw-p 00000000 00:00 0 [stack]";
        let found = mapped(maps, CPU_PART).unwrap();
        assert_eq!(found, Path::new("/opt/a b/torch/lib/libtorch_cpu.so"));
        assert_eq!(mapped(maps, CUDA_PART), None);
    }

    #[test]
    fn a_missing_cuda_part_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join(CUDA_PART);
        let error = open(&missing).unwrap_err().to_string();
        assert!(
            error.contains("libtorch_cuda.so is missing; run `scripts/setup.sh cuda`"),
            "{error}"
        );
        fs::write(&missing, "no library").unwrap();
        let error = open(&missing).unwrap_err().to_string();
        assert!(error.contains("run `scripts/setup.sh cuda`"), "{error}");
    }

    #[test]
    fn cuda_is_there_or_the_error_says_what_to_do() {
        match load_cuda() {
            Ok(count) => assert!(tch::Cuda::is_available() && count > 0),
            Err(error) => {
                let text = error.to_string();
                assert!(
                    text.contains("scripts/setup.sh cuda") || text.contains("nvidia-smi"),
                    "{text}"
                );
            }
        }
    }
}
