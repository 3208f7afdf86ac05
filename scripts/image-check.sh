#!/usr/bin/env bash
# Builds the image as the Dockerfile says, and tries it as a cluster runs it: as user 65532 without
# any capability, the root read-only, process 1 of its own, in a network of its own.
#
#   scripts/image-check.sh                      compiles everything, as an image's build does
#   PROGRAM=FILE scripts/image-check.sh         leaves compiling out, and puts this program in
#   DEVICE=cuda …                               the image for GPUs (5 GB to fetch; tried on the CPU)
#
# buildah builds, without a daemon. Base images are made here, by debootstrap and from the machine's
# own Rust, so that only package registries are needed. Needs root:
#
#   apt-get install buildah debootstrap patchelf jq iproute2
#
# Where it cannot run, this says so and ends well; with CI set it must run.
set -euo pipefail
cd "$(dirname "$0")/.."

device=${DEVICE:-cpu}
program=${PROGRAM:-}
out=$PWD/out/image
image=veriframe-check
export STORAGE_DRIVER=${STORAGE_DRIVER:-overlay} BUILDAH_ISOLATION=chroot TMPDIR=$out/tmp
trap 'exit 130' INT TERM

skip() {
    if [ -n "${CI:-}" ]; then
        echo "image: $1, and CI must check it" >&2
        exit 1
    fi
    echo "image: skipped, $1"
    exit 0
}
fail() {
    echo "image: $1" >&2
    exit 1
}
say() { echo "image: $1"; }
store() { buildah --root "$out/store" --runroot "$out/run" "$@"; }

[ "$(id -u)" = 0 ] || skip "it needs root"
for tool in buildah debootstrap patchelf jq ip cargo; do
    command -v "$tool" >/dev/null || skip "there is no $tool"
done
unshare --mount --pid --net --fork true 2>/dev/null || skip "this machine allows no namespaces"
# What buildah mounts, and may leave mounted, goes with a namespace of its own.
[ "${1:-}" = --inside ] || exec unshare --mount scripts/image-check.sh --inside
rm -rf "$out/run"
mkdir -p "$out/tmp"

# The images that the Dockerfile begins with, by the names that it has for them. Their package lists
# and authorities are this machine's.
argument() { sed -n "s/^ARG $1=//p" Dockerfile; }
debian=$out/debian
if [ ! -e "$debian.ready" ]; then
    say "making Debian"
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Codename: bookworm' |
        head -n 1)
    rm -rf "$debian"
    debootstrap --variant=minbase bookworm "$debian" "${mirror:?no package list of Debian 12 here}" \
        >"$out/debootstrap.log" 2>&1 || skip "debootstrap cannot fetch Debian: $out/debootstrap.log"
    rm -rf "$debian"/etc/apt/sources.list "$debian"/var/cache/apt/archives/*.deb
    cp /etc/apt/sources.list.d/debian.sources "$debian/etc/apt/sources.list.d/" 2>/dev/null ||
        cp /etc/apt/sources.list "$debian/etc/apt/"
    touch "$debian.ready"
fi
base() { # an image's name, then changes to its configuration
    local name=$1 container
    shift
    store inspect --type image "$name" >/dev/null 2>&1 && return
    container=$(store from scratch)
    store add --quiet "$container" "$debian" / >/dev/null
    store config "$@" "$container"
    store commit --quiet --rm "$container" "$name" >/dev/null
}
rust=$(rustc --print sysroot)
base "$(argument DEBIAN)" --env PATH=/usr/sbin:/usr/bin:/sbin:/bin
authorities=/run/authorities.crt
base "$(argument RUST)" --env CARGO_HOME=/usr/local/cargo \
    --env PIP_CERT=$authorities --env CARGO_HTTP_CAINFO=$authorities \
    --env PATH=/usr/local/rust/bin:/usr/sbin:/usr/bin:/sbin:/bin

# How this machine reaches its registries, for the stages that fetch. Nothing of it is in the image.
mounts=(--volume "$rust:/usr/local/rust:ro"
    --volume "/etc/ssl/certs/ca-certificates.crt:$authorities:ro")
[ ! -e /etc/pip.conf ] || mounts+=(--volume /etc/pip.conf:/etc/pip.conf:ro)
file=${CARGO_HOME:-$HOME/.cargo}/config.toml
[ ! -e "$file" ] || mounts+=(--volume "$file:/usr/local/cargo/config.toml:ro")

dockerfile=Dockerfile
if [ -n "$program" ]; then
    say "the program is $program: the stage compile is left out"
    folder=$out/given
    rm -rf "$folder"
    install -D "$program" "$folder/out/veriframe"
    strip --strip-debug "$folder/out/veriframe"
    # It was linked to a libtorch elsewhere; the stage compile has it in its place.
    patchelf --set-rpath /opt/veriframe/lib/torch/lib "$folder/out/veriframe"
    container=$(store from scratch)
    store add --quiet "$container" "$folder" / >/dev/null
    store commit --quiet --rm "$container" localhost/given >/dev/null
    dockerfile=$out/Dockerfile
    awk '/^FROM / { inside = / AS compile$/; if (inside) print "FROM localhost/given AS compile" }
        !inside' Dockerfile >"$dockerfile"
    grep -q '^FROM localhost/given' "$dockerfile" || fail "the Dockerfile has no stage compile"
fi

say "building for $device"
revision=$(git rev-parse HEAD)
store build --pull-never --format docker --file "$dockerfile" --ignorefile .dockerignore \
    --build-arg DEVICE="$device" --build-arg REVISION="$revision" "${mounts[@]}" \
    --tag "$image:$device" . >"$out/build.log" 2>&1 || {
    tail -n 30 "$out/build.log" >&2
    fail "the build failed: $out/build.log"
}

container=$(store from "$image:$device")
root=$(store mount "$container")
trap 'store rm --all >/dev/null' EXIT
config=$out/config.json
store inspect --type image "$image:$device" | jq .Docker.config >"$config"
scripts/image-try.sh "$root" "$config" "$revision"
say "passed for $device"
