#!/usr/bin/env bash
# Checks the Python client in clients/python: types, style, that its generated messages are current,
# its tests against servers of the demo models, and every command and program of its README.
#
#   scripts/python-client.sh                       builds the server
#   VERIFRAME=PROGRAM scripts/python-client.sh     runs that one
#   PYTHON=python3.12 scripts/python-client.sh     by that Python
#
# Tools live in out/python-client. Where pip cannot fetch them, this says so and ends well; with CI set
# it must run.
set -euo pipefail
cd "$(dirname "$0")/.."

out=$PWD/out/python-client
client=clients/python
python=${PYTHON:-python3}
trap 'exit 130' INT TERM
name="python client"
log=$out/server.log
. scripts/server.sh

skip() {
    if [ -n "${CI:-}" ]; then
        echo "python client: $1, and CI must run it" >&2
        exit 1
    fi
    echo "python client: skipped, $1"
    exit 0
}

command -v "$python" >/dev/null || skip "there is no $python"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || skip "$python is older than 3.10"

# Wheels of one Python serve no other one.
stamp=$("$python" -VV; cat "$client/pyproject.toml")
mkdir -p "$out"
bin=$out/venv/bin
if [ "$stamp" != "$(cat "$out/installed.txt" 2>/dev/null)" ]; then
    echo "python client: fetching what its pyproject.toml names"
    rm -rf "$out/venv" "$out/installed.txt"
    "$python" -m venv "$out/venv" || skip "$python has no venv"
    # What the group's lists say, for a pip that does not know groups.
    "$bin/python" - "$client/pyproject.toml" >"$out/requirements.txt" <<'GROUPS'
import re, sys
text = open(sys.argv[1]).read()
groups = text[text.index("[dependency-groups]") :].split("\n\n")[0]
print("\n".join(name for line in groups.splitlines()[1:] for name in re.findall('"([^"]+)"', line)))
GROUPS
    "$bin/pip" install --quiet --disable-pip-version-check -r "$out/requirements.txt" ||
        skip "pip cannot fetch its tools"
    echo "$stamp" >"$out/installed.txt"
fi

# Not what a developer has configured for servers of their own.
program=${VERIFRAME:-}
forget_settings
if [ -z "$program" ]; then
    cargo build --locked
    program=${CARGO_TARGET_DIR:-target}/debug/veriframe
fi
program=$(realpath "$program")
export PATH=$bin:$PATH PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_QUIET=1 PYTHONDONTWRITEBYTECODE=1

# The blocks of one language in the README, each run as it stands.
blocks() {
    awk -v open="\`\`\`$1" '$0 == open { on = 1; next } /^```$/ { if (on) print "\034"; on = 0 } on' \
        "$client/README.md"
}

echo "python client: installing it by the README"
mapfile -d $'\034' -t commands < <(blocks sh)
bash -euo pipefail -c "${commands[0]}" || skip "pip cannot fetch what it builds on"
pip check

echo "python client: style, types and generated messages"
python "$client/scripts/generate.py" --check
(cd "$client" && ruff check && ruff format --check && mypy)

echo "python client: tests"
(cd "$client" && VERIFRAME=$program timeout 1800 pytest -q -p no:cacheprovider)

echo "python client: the README's commands and programs"
rm -rf "$out/demo"
start_demo "$out/demo"

for command in "${commands[@]:1}"; do
    VERIFRAME_ADDRESS=$address bash -euo pipefail -c "$command" || fail "a command failed: $command"
done
mapfile -d $'\034' -t programs < <(blocks python)
count=0
for text in "${programs[@]}"; do
    # The block on connections names hosts and files that are nowhere.
    [[ $text == *"import"* && $text != *"veriframe.example"* ]] || continue
    # Only the port differs: this server's own, so that one on 50051 is left alone.
    python - <<<"${text//127.0.0.1:50051/$address}" || fail "a program failed: $text"
    count=$((count + 1))
done
[ "$count" -ge 4 ] || fail "$count programs ran, of at least 4"

stop_server
echo "python client: all well"
