#!/usr/bin/env bash
# Fetches libtorch into .libtorch, where .cargo/config.toml and build.rs look for it.
#
#   scripts/setup.sh           CPU (530 MB download)
#   scripts/setup.sh cuda      with every CUDA library, for a GPU host (about 3 GB)
#
# Safe to run again: a finished set-up returns at once, an interrupted one starts its step anew.
set -euo pipefail
cd "$(dirname "$0")/.."

torch=2.11.0
device=${1:-cpu}
home=.libtorch
stamp=$home/ready-$torch-$device

fail() { printf 'setup: %s\n' "$1" >&2; exit 1; }
say() { printf 'setup: %s\n' "$1"; }

case $device in cpu|cuda) ;; *) fail "unknown device '$device'; use cpu or cuda" ;; esac
[ "$(uname -sm)" = "Linux x86_64" ] || fail "needs 64-bit x86 Linux; this is $(uname -sm)"

command -v cargo >/dev/null || fail "cargo is missing; install Rust 1.95 with rustup (https://rustup.rs)"
rust=$(rustc --version | cut -d' ' -f2)
[ "$(printf '1.95.0\n%s\n' "$rust" | sort -V | head -n 1)" = 1.95.0 ] ||
    fail "rustc is $rust, needs 1.95 or newer; run: rustup update stable"
command -v c++ >/dev/null || fail "a C++ compiler is missing; run: apt-get install g++"
command -v python3 >/dev/null || fail "python3 is missing; run: apt-get install python3-pip"
python3 -m pip --version >/dev/null 2>&1 || fail "pip is missing; run: apt-get install python3-pip"

# The CUDA set-up also serves a CPU.
if [ -e "$home/ready-$torch-cuda" ] || [ -e "$stamp" ]; then
    exit 0
fi

if [ "$device" = cpu ]; then
    # libtorch_cpu.so itself needs libcudart and libcupti, even where there is no GPU.
    packages="--no-deps torch==$torch nvidia-cuda-runtime==13.0.96 nvidia-cuda-cupti==13.0.85"
else
    packages="torch==$torch"
fi
say "fetching libtorch $torch for $device"
rm -rf "$home/wheel.part"
# shellcheck disable=SC2086  # the package list is meant to split
python3 -m pip install --progress-bar on --root-user-action ignore \
    --target "$home/wheel.part" $packages ||
    fail "pip could not install torch $torch; check the network and 10 GB of free disk, then run this again"

found=$(tr -d '[:space:]' < "$home/wheel.part/torch/version.py" | grep -o "__version__='[0-9.]*" | cut -d"'" -f2)
[ "$found" = "$torch" ] || fail "got torch $found, needs $torch"
# No stamp outlives what it stands for, should this be interrupted here.
rm -rf "$home"/ready-* "$home/wheel" "$home/link"
mv "$home/wheel.part" "$home/wheel"

# The linker sees no libtorch_cuda.so, so the binary does not need it: src/libtorch loads it at
# start-up where a GPU is wanted. One binary serves both.
mkdir -p "$home/link/lib"
ln -s ../wheel/torch/include "$home/link/include"
for file in "$home"/wheel/torch/lib/*; do
    case ${file##*/} in
        libtorch_cpu.so|libc10.so|libtorch.so|libgomp*|libshm.so|libtorch_global_deps.so)
            ln -s "../../wheel/torch/lib/${file##*/}" "$home/link/lib/${file##*/}" ;;
    esac
done
touch "$stamp"
say "libtorch $torch is ready in $home"
