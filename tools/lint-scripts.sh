#!/usr/bin/env bash
# Runs shellcheck on every script. Without shellcheck: fails in CI, warns elsewhere.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

mapfile -t scripts < <(grep -rlIE '^#!.*\b(ba)?sh\b' --exclude-dir=.git --exclude-dir=node_modules --exclude-dir=bin . | sort)
if command -v shellcheck >/dev/null; then
	shellcheck "${scripts[@]}"
	echo "shellcheck: ${#scripts[@]} scripts, no finding"
elif [ "${CI:-}" = true ]; then
	echo "lint-scripts: shellcheck is missing (tools/setup.sh installs it)" >&2
	exit 1
else
	echo "lint-scripts: WARNING: shellcheck is missing, ${#scripts[@]} scripts were not checked" >&2
fi
