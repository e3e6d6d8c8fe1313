#!/usr/bin/env bash
# Fails when `make generate` changes a file. Work in progress is left out of the
# judgement: the tree before and after is compared, not the tree and the last commit.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

state() {
	git diff HEAD --binary
	git ls-files --others --exclude-standard -z | xargs -0 --no-run-if-empty sha256sum
}

before=$(state | sha256sum)
make --no-print-directory generate
after=$(state | sha256sum)
if [ "$before" != "$after" ]; then
	echo "generate-check: generated files were out of date; commit what 'make generate' wrote:" >&2
	git status --short >&2
	exit 1
fi
echo "generate-check: up to date"
