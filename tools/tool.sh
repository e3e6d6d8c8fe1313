#!/usr/bin/env bash
# Prints the path of a pinned tool; builds it first when this version is not in the cache.
#
#   tools/tool.sh lint golangci-lint        the tool of that name in tools/lint/go.mod
#   tools/tool.sh imagelint imagelint       a tool of our own: the folder's main package
#
# The cache is outside the repository. Its key is the tool module's two files and
# Go's own version, so an upgrade builds anew and a branch switch does not.
set -euo pipefail

module=${1:?usage: tools/tool.sh MODULE NAME}
name=${2:?usage: tools/tool.sh MODULE NAME}
dir="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/$module"
cd "$dir"

# Neither the caller's workspace nor its flags decide how a pinned tool is built.
export GOWORK=off GOFLAGS=-mod=readonly
platform=$(go env GOVERSION GOOS GOARCH | tr '\n' '-')

sources=(go.mod go.sum)
package=$(go list tool 2>/dev/null | grep -E "/$name\$" || true)
if [ -z "$package" ]; then
	package=.
	for source in *.go; do sources+=("$source"); done
fi
key=$(cat "${sources[@]}" | sha256sum | cut -c1-16)
binary="${XDG_CACHE_HOME:-$HOME/.cache}/playgate/tools/$platform$key/$name"

if [ ! -x "$binary" ]; then
	echo "building $name (once for this version)" >&2
	mkdir -p "$(dirname "$binary")"
	go build -trimpath -buildvcs=false -o "$binary.$$" "$package" >&2
	mv -f "$binary.$$" "$binary"
fi
echo "$binary"
