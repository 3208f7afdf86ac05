#!/usr/bin/env bash
# Moves the libraries of .libtorch that run, and nothing else, to the folder where the image has
# them, and leaves links: what is linked here then looks for them there. It runs in a stage of the
# Dockerfile, after scripts/setup.sh.
#
#   scripts/image-libtorch.sh FOLDER
#
# Their places among each other stay, since they find each other by them.
set -euo pipefail
cd "$(dirname "$0")/.."
home=$1
wheel=.libtorch/wheel

fail() { printf 'image-libtorch: %s\n' "$1" >&2; exit 1; }
[ -d "$wheel/torch/lib" ] || fail "there is no $wheel; run scripts/setup.sh"

move() { # the folder of a library in the wheel, its name
    mkdir -p "$home/$1"
    mv "$wheel/$1/$2" "$home/$1/$2"
    ln -s "$home/$1/$2" "$wheel/$1/$2"
}

# Without the GPU's part: the program needs these two and what they load.
gpu=$(find .libtorch -maxdepth 1 -name 'ready-*-cuda')
for path in "$wheel"/torch/lib/*.so*; do
    name=${path##*/}
    case $name in
        libtorch_cpu.so|libc10.so|libgomp*) move torch/lib "$name" ;;
        # Python's part, and what only Python's part loads.
        libtorch_python.so|libtorch_global_deps.so|libshm.so) ;;
        *) [ -z "$gpu" ] || move torch/lib "$name" ;;
    esac
done

# But for CUPTI's parts for profilers, NVRTC's second build, and plugins for several machines.
while read -r path; do
    case ${path##*/} in
        libnvperf_*|libcheckpoint.so|libpcsamplingutil.so|*.alt.so.*|nvshmem_*|*_rdma.so*) ;;
        *) move "nvidia/${path%/*}" "${path##*/}" ;;
    esac
done < <(find "$wheel/nvidia" -path '*/lib/*' -name '*.so*' -printf '%P\n')

# Symbols for linkers of static parts and debuggers: a fifth of libtorch. NVIDIA's own libraries may
# not be changed.
find "$home/torch/lib" -name '*.so*' -exec strip --strip-unneeded {} +

for folder in "$wheel"/*.dist-info; do
    name=${folder##*/}
    case $name in torch-*|nvidia_*) ;; *) continue ;; esac
    find "$folder" -iregex '.*/\(license\|notice\|copying\)[^/]*' -type f |
        while read -r text; do
            install -D -m 0644 "$text" "$home/licences/${name%.dist-info}/${text##*/}"
        done
done

# Of the rest a compiler reads the headers alone, and a linker a library of no content that it is told of.
find "$wheel" -mindepth 1 -maxdepth 1 ! -name torch ! -name nvidia -exec rm -rf {} +
find "$wheel/torch" -mindepth 1 -maxdepth 1 ! -name include ! -name lib -exec rm -rf {} +
find "$wheel" -name '*.so*' -type f ! -path '*/torch/lib/libtorch.so' -delete

# Everything is found, but for a GPU's driver, which the host brings.
missing=$(ldd "$home"/torch/lib/*.so* |
    awk '/not found/ && $1 !~ /^lib(cuda|nvidia-ml)[.]so/ { print $1 }' | sort -u)
[ -z "$missing" ] || fail "not found by libtorch: ${missing//$'\n'/ }"
du -sh "$home"
