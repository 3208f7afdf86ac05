#!/usr/bin/env bash
# Runs the tests of evidence against a Qdrant server in place of the embedded store: the same ones
# that `cargo test` runs, but for those about a folder on the disk.
#
#   scripts/qdrant.sh http://127.0.0.1:6334            a server that runs already, by its gRPC port
#   scripts/qdrant.sh /path/to/qdrant                  starts that program, with a folder of its own
#
# Collections named as the tests name theirs (faces, …) are replaced: give it no server that matters.
set -euo pipefail
cd "$(dirname "$0")/.."

given=${1:-}
[ -n "$given" ] || { sed -n '2,8p' "$0"; exit 2; }

address=$given
if [ -x "$given" ]; then
    folder=$(mktemp -d)
    http=${QDRANT_HTTP_PORT:-16333} grpc=${QDRANT_GRPC_PORT:-16334}
    (cd "$folder" && QDRANT__SERVICE__HOST=127.0.0.1 QDRANT__SERVICE__HTTP_PORT=$http \
        QDRANT__SERVICE__GRPC_PORT=$grpc QDRANT__STORAGE__STORAGE_PATH=$folder/storage \
        QDRANT__STORAGE__SNAPSHOTS_PATH=$folder/snapshots QDRANT__TELEMETRY_DISABLED=true \
        exec "$given") >"$folder/log" 2>&1 &
    server=$!
    trap 'kill "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT
    for _ in $(seq 300); do
        ! (exec 3<>"/dev/tcp/127.0.0.1/$grpc") 2>/dev/null || break
        kill -0 "$server" 2>/dev/null || { tail -n 20 "$folder/log" >&2; exit 1; }
        sleep 0.1
    done
    address=http://127.0.0.1:$grpc
fi

echo "evidence tests against $address"
# One by one: they share the server and the names of their collections.
VERIFRAME_QDRANT=$address cargo test --locked --test it -- --test-threads 1 \
    evidence_store::contract evidence::answers evidence::ingest evidence::kept evidence::refused \
    evidence::search
