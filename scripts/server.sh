# A server for a script of this folder to test against; to be sourced. The script sets `name`, by which
# messages call it, `program` and `log`.

# Not what a developer has configured for servers of their own.
forget_settings() {
    local variable
    for variable in "${!VERIFRAME_@}"; do unset "$variable"; done
}

fail() {
    echo "$name: $1; the end of $log:" >&2
    tail -n 20 "$log" >&2
    exit 1
}

# Starts it with these arguments, and sets `server` and `address`. The address comes before its models
# are loaded.
start_server() { start serve "$@" --no-metrics --set log.access=false; }

# Starts what people are told to try clients on: the demo's server, with its models and evidence, and
# this folder for what it leaves.
start_demo() { start demo --serve --listen 127.0.0.1:0 --seconds 1 --out "$1"; }

start() {
    : >"$log" # the shell that starts the server may be late: no address of an earlier one may be read
    "$program" "$@" >>"$log" 2>&1 &
    server=$!
    trap 'kill -KILL "$server" 2>/dev/null || true' EXIT
    address=
    for _ in $(seq 1200); do
        address=$(sed -n 's/^gRPC on //p' "$log")
        [ -z "$address" ] || return 0
        kill -0 "$server" 2>/dev/null || fail "the server did not start"
        sleep 0.1
    done
    fail "the server told no address within two minutes"
}

# It must go down in order.
stop_server() {
    kill -TERM "$server"
    for _ in $(seq 300); do
        kill -0 "$server" 2>/dev/null || break
        sleep 0.1
    done
    ! kill -0 "$server" 2>/dev/null || fail "the server did not stop within 30 s"
    wait "$server" || fail "the server ended with $?"
    trap - EXIT
}
