#!/usr/bin/env bash
# Runs Triton's own Python client against a server of the demo models and of TorchScript modules:
# tests/clients/triton.py. Its first run fetches the client into out/clients.
#
#   scripts/clients.sh                          builds the server
#   VERIFRAME=PROGRAM scripts/clients.sh        runs that one
#
# Where pip cannot fetch the client, this says so and ends well; with CI set it must run.
set -euo pipefail
cd "$(dirname "$0")/.."

out=$PWD/out/clients
wanted=tests/clients/requirements.txt
trap 'exit 130' INT TERM

skip() {
    if [ -n "${CI:-}" ]; then
        echo "clients: $1, and CI must run them" >&2
        exit 1
    fi
    echo "clients: skipped, $1"
    exit 0
}

# Wheels of one Python serve no other one.
command -v python3 >/dev/null || skip "there is no python3"
python3 -m pip --version >/dev/null 2>&1 || skip "python3 has no pip"
stamp=$(python3 -VV; cat "$wanted")
mkdir -p "$out"
if [ "$stamp" != "$(cat "$out/installed.txt" 2>/dev/null)" ]; then
    echo "clients: fetching $(grep -o '^tritonclient.*' "$wanted")"
    rm -rf "$out/python" "$out/installed.txt"
    python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
        --no-deps --only-binary=:all: --target "$out/python" -r "$wanted" ||
        skip "pip cannot fetch the client"
    echo "$stamp" >"$out/installed.txt"
fi

name=clients
log=$out/server.log
program=${VERIFRAME:-}
. scripts/server.sh
forget_settings
if [ -z "$program" ]; then
    cargo build --locked
    program=${CARGO_TARGET_DIR:-target}/debug/veriframe
fi

python3 tests/clients/modules.py models/demo "$out/models"
# The suite waits until its models are loaded.
start_server --listen 127.0.0.1:0 --model-repository "$out/models" \
    --load clip --load yolo --load affine --load kinds --load halves

PYTHONPATH=$out/python PYTHONDONTWRITEBYTECODE=1 timeout 600 \
    python3 tests/clients/triton.py "$address" || fail "a check failed"

stop_server
