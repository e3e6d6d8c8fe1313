#!/usr/bin/env bash
# What can be tested of the image without an engine: the files that .dockerignore
# lets through are copied out, and the Dockerfile's build command runs on them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
"$(tools/tool.sh imagelint imagelint)" -export "$context"

# The command is the Dockerfile's own, so that the two cannot drift apart.
command=$(sed -n 's/^RUN \(make build .*\)$/\1/p' Dockerfile)
[ -n "$command" ] || { echo "image-build: no 'RUN make build …' line in the Dockerfile" >&2; exit 1; }
command=${command//\/out\//$context/out/}

commit=$(git rev-parse HEAD)
(cd "$context" && VERSION=image-build COMMIT=$commit bash -c "$command")
"$context/out/playgate" version
