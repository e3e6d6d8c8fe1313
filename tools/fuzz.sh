#!/usr/bin/env bash
# Runs each fuzz target for a while, one after the other; go test takes one at a time.
#
#   tools/fuzz.sh 10s ./...
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

time=${1:?usage: tools/fuzz.sh TIME PACKAGES}
shift

targets=0
while read -r dir; do
	# Fuzz targets are found in the text: compiling every package to list them takes minutes.
	while read -r target; do
		targets=$((targets + 1))
		echo "fuzz: $target in ${dir#"$PWD/"} for $time"
		go test -run '^$' -fuzz "^$target\$" -fuzzminimizetime 20x -fuzztime "$time" "$dir"
	done < <(grep -hoE '^func Fuzz[A-Za-z0-9_]+' "$dir"/*_test.go 2>/dev/null | sed 's/^func //' | sort -u)
done < <(go list -f '{{.Dir}}' "$@")
echo "fuzz: $targets targets, no failure"
