#!/usr/bin/env bash
# Runs the client examples, clients/{go,typescript,java}, against a server of the demo models: the
# commands of their READMEs as they stand there, then what a server does to a client on a bad day.
#
#   scripts/client-examples.sh                          builds the server
#   VERIFRAME=PROGRAM scripts/client-examples.sh        runs that one
#
# Libraries come from each language's own cache, or are fetched into it. A language whose tools are
# missing or whose libraries cannot be fetched is skipped, with the reason; with CI set all must run.
set -euo pipefail
cd "$(dirname "$0")/.."

out=$PWD/out/examples
clip=$PWD/clients/testdata/clip
name=examples
log=$out/server.log
program=${VERIFRAME:-}
. scripts/server.sh
forget_settings
mkdir -p "$out"
trap 'exit 130' INT TERM

skip() {
    if [ -n "${CI:-}" ]; then
        echo "examples: $1: $2, and CI must run them" >&2
        exit 1
    fi
    echo "examples: $1: skipped, $2"
}

# What a language needs beside the demo server; fails, with the reason, where it is not to be had.
missing=
needs() {
    local tool
    for tool in "$@"; do
        command -v "$tool" >/dev/null || { missing="there is no $tool"; return 1; }
    done
}
fetch() {
    "$@" >"$out/fetch.log" 2>&1 || { missing="\`$*\` failed, see $out/fetch.log"; return 1; }
}
ready_go() { needs go && fetch go -C clients/go mod download; }
ready_typescript() { needs node npm && fetch npm --prefix clients/typescript ci --ignore-scripts; }
ready_java() { needs java mvn && fetch mvn --batch-mode -f clients/java generate-sources; }

# The programs, once the README's commands have built them.
verify_go() { "$out/go/verify" "$@"; }
stream_go() { "$out/go/stream" "$@"; }
verify_typescript() { node clients/typescript/dist/verify.js "$@"; }
stream_typescript() { node clients/typescript/dist/stream.js "$@"; }
classes='clients/java/target/classes:clients/java/target/lib/*'
verify_java() { java -cp "$classes" veriframe.examples.Verify "$@"; }
stream_java() { java -cp "$classes" veriframe.examples.Stream "$@"; }

# Fails unless the file has a line that matches.
expect() {
    grep -Eq -- "$2" "$1" || { cat "$1" >&2; fail "$1 has no line that matches '$2'"; }
}

# Fails unless the file has one line for each of that many frames, in order.
expect_frames() {
    local answered
    answered=$(sed -nE 's/^ +([0-9]+)  [0-9]+\.[0-9]{2} s  (ok|dropped|expired|error) .*/\1/p' "$1")
    [ "$answered" = "$(seq 0 $(($2 - 1)))" ] ||
        { cat "$1" >&2; fail "$1: not each of $2 frames once, in order"; }
}

# A README's fenced commands.
commands() { sed -n '/^```sh$/,/^```$/{/^```/!p}' "$1"; }

readme() {
    local told=$out/$1.readme.txt
    commands "clients/$1/README.md" >"$out/$1.sh"
    [ "$(wc -l <"$out/$1.sh")" -ge 3 ] || fail "clients/$1/README.md has no commands"
    VERIFRAME_ADDRESS=$address timeout 600 bash -euo pipefail "$out/$1.sh" >"$told" 2>&1 ||
        { cat "$told" >&2; fail "a command of clients/$1/README.md failed"; }
    expect "$told" '^artificial ear shape +\+0\.[0-9]+ +[0-9.]+ % '
    expect "$told" '^natural ear shape +-0\.[0-9]+ +[0-9.]+ % '
    expect "$told" '^face +[0-9.]+ % +[0-9]+ +[0-9]+ +[0-9]+ +[0-9]+$'
    expect_frames "$told" 8
    expect "$told" '^8 frames: 8 ok, 0 dropped, 0 expired, 0 errors; end: client closed$'
    expect "$told" '^artificial ear shape: present, '
}

# A frame that ends early and frames faster than the server: each is answered in its place. A prompt
# that is refused: the error names the field.
bad_input() {
    local told=$out/$1.bad.txt
    "stream_$1" "$out/broken" "uneven teeth" >"$told" 2>&1 || fail "$1 did not take a broken frame"
    expect_frames "$told" 8
    expect "$told" '^ +2  .* error .*ends early'
    "stream_$1" --live --fps 1000 "$out/many" "uneven teeth" >"$told" 2>&1 ||
        fail "$1 did not take more frames than it can"
    expect_frames "$told" 64
    expect "$told" ' dropped +replaced$'
    ! "verify_$1" "$clip/004.jpg" "uneven teeth" "" >"$told" 2>&1 || fail "$1 took an empty prompt"
    expect "$told" '^error: .*similarity\.prompts\[1\]'
}

# More calls than the key may make: the later one waits as long as it is told. A wrong key: refused.
keys() {
    local told=$out/$1.keys.txt first
    "verify_$1" "$clip/004.jpg" "uneven teeth" >"$told" 2>&1 &
    first=$!
    "verify_$1" "$clip/004.jpg" "uneven teeth" >"$told.second" 2>&1 ||
        fail "$1 gave up: $(cat "$told.second")"
    wait "$first" || fail "$1 gave up: $(cat "$told")"
    cat "$told.second" >>"$told"
    expect "$told" '^(ResourceExhausted|RESOURCE_EXHAUSTED): .*; trying again in '
    ! VERIFRAME_API_KEY=wrong "verify_$1" "$clip/004.jpg" x >"$told" 2>&1 ||
        fail "$1 came in with a wrong key"
    expect "$told" '^error: (Unauthenticated|UNAUTHENTICATED): '
}

languages=()
for language in go typescript java; do
    if "ready_$language"; then languages+=("$language"); else skip "$language" "$missing"; fi
done
[ ${#languages[@]} -gt 0 ] || exit 0

if [ -z "$program" ]; then
    cargo build --locked
    program=${CARGO_TARGET_DIR:-target}/debug/veriframe
fi
rm -rf "$out/broken" "$out/many"
mkdir -p "$out/broken" "$out/many"
cp "$clip"/*.jpg "$out/broken"
head -c 2000 "$clip/002.jpg" >"$out/broken/002.jpg"
for i in $(seq 100 163); do cp "$clip/00$((i % 8)).jpg" "$out/many/$i.jpg"; done

start_demo "$out/demo"
export VERIFRAME_ADDRESS=$address
for language in "${languages[@]}"; do
    readme "$language"
    if [ "$language" = go ]; then
        [ -z "$(gofmt -l clients/go)" ] || fail "gofmt would change $(gofmt -l clients/go)"
        go -C clients/go vet ./...
        go -C clients/go build -o "$out/go/" ./verify ./stream
        if [ "${CI:-}" ] || npx --yes @bufbuild/buf@1.75.0 --version >/dev/null 2>&1; then
            (cd clients/go && npx --yes @bufbuild/buf@1.75.0 generate -o "$out/generated")
            diff -r "$out/generated/gen" clients/go/gen || fail "clients/go/gen is old: run go generate"
        else
            echo "examples: go: whether gen is current is skipped, buf cannot be fetched"
        fi
    fi
    bad_input "$language"
    echo "examples: $language: README and bad input pass"
done

: >"$out/keys.toml"
for language in "${languages[@]}"; do
    "$program" keys new --id "$language" --scope inference --rate 0.5 --burst 1 >"$out/key.txt"
    sed -n '/^\[\[key\]\]/,$p' "$out/key.txt" >>"$out/keys.toml"
    sed -n 's/^secret.*: //p' "$out/key.txt" >"$out/$language.key"
done

# The server goes down while each streams, in order or not ($1), and another one comes at its address,
# which wants keys.
goes_on() {
    local language told
    local -A streams
    # The slowest to start is the first, so that none is done before all have begun.
    for language in java typescript go; do
        [[ " ${languages[*]} " == *" $language "* ]] || continue
        told=$out/$language.$1.txt
        : >"$told"
        VERIFRAME_API_KEY=$(cat "$out/$language.key") "stream_$language" --live --fps 1 "$clip" \
            "uneven teeth" >>"$told" 2>&1 &
        streams[$language]=$!
        for _ in $(seq 300); do
            ! grep -Eq '^ +0  ' "$told" || break
            sleep 0.1
        done
    done
    "$1_server"
    start_server --listen "$address" --set "server.auth.keys=$out/keys.toml"
    for language in "${languages[@]}"; do
        told=$out/$language.$1.txt
        wait "${streams[$language]}" || { cat "$told" >&2; fail "$language did not go on"; }
        [ "$1" = kill ] || expect "$told" '; end: draining$'
        expect "$told" '^going on after frame [0-6]$'
        expect_frames "$told" 8
    done
}
kill_server() {
    kill -KILL "$server"
    wait "$server" 2>/dev/null || true
}
goes_on stop
goes_on kill
echo "examples: a stream goes on after its server: ${languages[*]} pass"

for language in "${languages[@]}"; do
    VERIFRAME_API_KEY=$(cat "$out/$language.key") keys "$language"
done
echo "examples: quota and wrong key: ${languages[*]} pass"
stop_server
