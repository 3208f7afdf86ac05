#!/usr/bin/env bash
# Fuzzes each target, or those named, for so many seconds: fuzz.sh SECONDS [TARGET…]
# What it finds on the way stays in fuzz/found, what fails in fuzz/artifacts.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=$1
shift
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
	targets=(image raw pickle archive safetensors text claims tokenizer stream verdicts tensors
		jsonl filters evidence)
fi
# The versions that the program is built with.
cp Cargo.lock fuzz/Cargo.lock
for target in "${targets[@]}"; do
	corpus=("fuzz/found/$target" "fuzz/corpus/$target")
	if [ "$target" = image ]; then corpus+=(tests/golden/pictures); fi
	mkdir -p "fuzz/found/$target" "fuzz/corpus/$target"
	# libtorch keeps what it allocates once, which is no leak.
	cargo +nightly fuzz run "$target" "${corpus[@]}" -- -max_total_time="$seconds" \
		-max_len=8192 -rss_limit_mb=2048 -timeout=20 -detect_leaks=0 -print_final_stats=1
done
