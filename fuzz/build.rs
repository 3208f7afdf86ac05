//! Tells the linker where libtorch will be found at run time, as the program's own `build.rs`.

use std::error::Error;
use std::path::Path;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    let libtorch = Path::new(&env::var("LIBTORCH")?).join("lib/libtorch_cpu.so");
    let folder = fs::canonicalize(libtorch)?;
    let folder = folder.parent().ok_or("libtorch_cpu.so has no folder")?;
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", folder.display());
    Ok(())
}
