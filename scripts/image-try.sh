#!/usr/bin/env bash
# Tries an image that scripts/image-check.sh has built: what is in it, and how its program runs.
#
#   scripts/image-try.sh ROOT CONFIG REVISION
#
# ROOT is the folder of its files, CONFIG a file with its configuration (Docker's JSON).
set -euo pipefail

# A network and mounts of its own: the image's ports are free, and nobody else's.
if [ "${1:-}" != --inside ]; then
    exec unshare --mount --net --ipc --uts --kill-child --fork "$0" --inside "$@"
fi
cd "$(dirname "$0")/.."
root=$2 config=$3 revision=$4
user=65532
log=$PWD/out/image/server.log

fail() {
    echo "image: $1" >&2
    exit 1
}
say() { echo "image: $1"; }
ask() { jq --raw-output --exit-status "$1" "$config"; }
same() { [ "$2" = "$3" ] || fail "$1 is '$2' and not '$3'"; }

# What the configuration says.
same user "$(ask .User)" "$user:$user"
same 'the stop signal' "$(ask .StopSignal)" SIGTERM
same ports "$(ask '.ExposedPorts | keys | join(" ")')" '50051/tcp 9464/tcp'
same volumes "$(ask '.Volumes | keys | join(" ")')" /var/lib/veriframe
same revision "$(ask '.Labels["org.opencontainers.image.revision"]')" "$revision"
mapfile -t environment < <(ask '.Env[]')
mapfile -t command < <(ask '(.Entrypoint + .Cmd)[]')
mapfile -t health < <(ask 'if .Healthcheck.Test[0] == "CMD" then .Healthcheck.Test[1:][] else error end')
folder=$(ask .WorkingDir)

# What is in it. Nothing can become root, and the user can change nothing but its state.
[ ! -e "$root/bin/sh" ] && [ ! -e "$root/usr/bin/apt" ] || fail "it has a shell or a package manager"
found=$(find "$root" -xdev -type f -perm /6000)
[ -z "$found" ] || fail "setuid files: $found"
found=$(find "$root" -xdev \( -user $user -o -group $user -o -perm /o+w \) ! -type l \
    ! -path "$root/tmp" ! -path "$root/var/lib/veriframe" -print -quit)
[ -z "$found" ] || fail "the user may write $found"
file=$root/usr/local/bin/veriframe
sections=$(readelf --section-headers --wide "$file")
[[ $sections != *' .debug_info'* ]] || fail "the program has debug information"
same "the program's search path" "$(readelf --dynamic "$file" | sed -n 's/.*runpath: \[\(.*\)\]/\1/p')" \
    /opt/veriframe/lib/torch/lib
chroot "$root" /lib64/ld-linux-x86-64.so.2 --list /usr/local/bin/veriframe >/dev/null ||
    fail "the program misses a library"

# The root read-only; a new /tmp, /dev and state, as the runtime gives them.
mount --bind "$root" "$root"
for name in proc dev; do mkdir -p "$root/$name"; done
mount -o remount,bind,ro "$root"
mount -t tmpfs -o mode=0755 dev "$root/dev"
mount -t tmpfs -o mode=1777,nosuid,nodev tmp "$root/tmp"
mount -t tmpfs -o "mode=0750,uid=$user,gid=$user,nosuid,nodev" state "$root/var/lib/veriframe"
for name in null urandom; do
    : >"$root/dev/$name"
    mount --bind "/dev/$name" "$root/dev/$name"
done
cp tests/golden/yolo/small.png "$root/tmp/picture.png"
ip link set lo up

# A container of these mounts and this network: the command becomes process 1, and the shell's child
# is its parent.
container() {
    exec env -i "${environment[@]}" "${more[@]}" /usr/bin/setpriv --no-new-privs --inh-caps=-all \
        /usr/bin/unshare --pid --fork --kill-child --mount-proc=/proc --root "$root" \
        --wd "$folder" --setgid $user --setuid $user "$@"
}
more=(VERIFRAME_EVIDENCE_STORE=embedded)
inside() { (more=(); container "$@"); }

: >"$log"
container "${command[@]}" >>"$log" 2>&1 &
parent=$!
trap 'kill -KILL "$parent" 2>/dev/null || true' EXIT
stop() {
    tail -n 20 "$log" >&2
    fail "$1; the log: $log"
}
for _ in $(seq 1200); do
    ! grep -q '^models are loaded' "$log" || break
    kill -0 "$parent" 2>/dev/null || stop "the server did not start"
    sleep 0.1
done
grep -q '^models are loaded' "$log" || stop "no models within two minutes"
server=$(cat "/proc/$parent/task/$parent/children")
server=${server%% *}

# It is confined as meant.
status() { sed -n "s/^$1:[[:space:]]*//p" "/proc/$server/status"; }
same 'its user' "$(status Uid)" "$(printf '%s\t%s\t%s\t%s' $user $user $user $user)"
same 'its groups' "$(status Groups | xargs)" ''
same 'its capabilities' "$(status CapEff)" 0000000000000000
same 'no new privileges' "$(status NoNewPrivs)" 1
same 'its number inside' "$(status NSpid | awk '{ print $NF }')" 1

# It answers: health by the image's own command, a picture against prompts, metrics, evidence.
inside "${health[@]}" >/dev/null || stop "the health check '${health[*]}' fails"
version=$(inside veriframe --version)
label=$(ask '.Labels["org.opencontainers.image.version"]')
same 'the label of the version' "veriframe $label" "$version"
answer=$(inside veriframe verify /tmp/picture.png --prompt "uneven teeth" --prompt "even teeth" \
    --server 127.0.0.1:50051) || stop "Verify fails"
grep -q 'uneven teeth' <<<"$answer" || stop "Verify answers: $answer"
exec 3<>/dev/tcp/127.0.0.1/9464
printf 'GET /metrics HTTP/1.1\r\nHost: metrics\r\nConnection: close\r\n\r\n' >&3
metrics=$(cat <&3)
exec 3>&-
calls=$(sed -n 's/^veriframe_requests_total{method="Verify",code="OK"} \([0-9]*\).*/\1/p' <<<"$metrics")
[ "${calls:-0}" -ge 1 ] || stop "the metrics count no Verify"
inside veriframe evidence collections --server 127.0.0.1:50051 >/dev/null ||
    stop "evidence does not answer"
[ -n "$(find "$root/var/lib/veriframe/evidence" -type f -print -quit)" ] || stop "evidence is not kept"

# It goes down in order on the image's own signal.
kill -s "$(ask .StopSignal)" "$server"
for _ in $(seq 400); do
    kill -0 "$parent" 2>/dev/null || break
    sleep 0.1
done
! kill -0 "$parent" 2>/dev/null || stop "the server did not stop within 40 s"
code=0
wait "$parent" || code=$?
[ "$code" = 0 ] || stop "the server ended with $code"
trap - EXIT

say "it serves as user $user, read-only, without a shell, and stops with 0; its parts:"
bytes() { du --summarize --bytes --one-file-system "$1" | cut -f1; }
part() { awk -v bytes="$1" -v name="$2" 'BEGIN { printf "  %6.1f MB  %s\n", bytes / 1e6, name }'; }
all=$(bytes "$root")
rest=$all
for name in /usr/local/bin/veriframe /opt/veriframe/lib /opt/veriframe/models; do
    size=$(bytes "$root$name")
    rest=$((rest - size))
    part "$size" "$name"
done
part "$rest" "the rest"
part "$all" "in all"
