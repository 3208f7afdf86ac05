//! Compiles `proto/` (without a system protoc) and tells the linker where libtorch will be found
//! at run time.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

const PROTOS: &[&str] = &[
    "veriframe/v1/verification.proto",
    "veriframe/v1/admin.proto",
    "veriframe/v1/answer.proto",
    "veriframe/v1/evidence.proto",
    "inference/grpc_service.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    compile_protos()?;
    link_libtorch()
}

fn compile_protos() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(PROTOS, ["proto"])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), prost::Message::encode_to_vec(&descriptors))?;
    tonic_prost_build::configure()
        // Pictures and tensors are passed on without a copy.
        .bytes(".")
        .extern_path(".google.rpc.Status", "::tonic_types::pb::Status")
        .compile_fds(descriptors)?;
    Ok(())
}

/// The binary looks for libtorch beside the wheel's own libraries, whose relative search paths
/// find the CUDA libraries.
fn link_libtorch() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    let root = env::var("LIBTORCH")
        .map_err(|_| "LIBTORCH is not set; build inside the repository, after `make setup`")?;
    let libtorch = fs::canonicalize(Path::new(&root).join("lib/libtorch_cpu.so"))
        .map_err(|_| format!("no libtorch in {root}; run `make setup`"))?;
    let folder = libtorch.parent().ok_or("libtorch_cpu.so has no folder")?;
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", folder.display());
    Ok(())
}
