#!/usr/bin/env bash
# Compares full-size nets with the libraries they follow, on random weights.
#
#   scripts/parity.sh [PYTHON [PICTURE…]]
#
# PYTHON has torch 2.11, transformers 5, ultralytics 8.4, safetensors, grad-cam 1.5 and scipy; without
# pictures, those that come with ultralytics are used. Every tests/golden script that knows --full writes its
# checkpoints and what the library makes of them into out/parity (several GB); the tests named
# full_size then read them.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${1:-python3}
shift || true
"$python" -c 'import torch, transformers, ultralytics, safetensors, pytorch_grad_cam, scipy' 2>/dev/null || {
    echo "parity: $python lacks torch, transformers, ultralytics, safetensors, grad-cam or scipy; run:" >&2
    echo "  python3 -m venv out/python && out/python/bin/pip install torch==2.11.0 \\" >&2
    echo "    'transformers>=5,<6' 'ultralytics>=8.4,<8.5' safetensors 'grad-cam>=1.5,<1.6' scipy && make parity PYTHON=out/python/bin/python" >&2
    exit 1
}
if [ $# = 0 ]; then
    assets=$("$python" -c 'import ultralytics, pathlib; print(pathlib.Path(ultralytics.__file__).parent / "assets")')
    set -- "$assets"/*.jpg
fi
export VERIFRAME_PARITY=$PWD/out/parity
mkdir -p "$VERIFRAME_PARITY"
for script in tests/golden/*.py; do
    if grep -q -- '"--full"' "$script"; then
        echo "parity: $script"
        "$python" "$script" --full "$VERIFRAME_PARITY" "$@"
    fi
done
cargo test --locked --test it full_size -- --nocapture
