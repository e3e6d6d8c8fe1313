#!/bin/sh
# Builds the real Vault that the tests of keystore/vault run, once, and prints
# where it is. It takes some minutes from an empty build cache, and nothing when
# it was built before. The tests look in the same place (keystore/vault/vaulttest),
# or where PLAYGATE_TEST_VAULT points.
set -eu

cd "$(dirname "$0")"
version=$(sed -n 's|^require github.com/hashicorp/vault v||p' go.mod)
[ -n "$version" ] || { echo "build.sh: no version of Vault in go.mod" >&2; exit 1; }
cache=${XDG_CACHE_HOME:-$HOME/.cache}/playgate
binary=$cache/vault-$version

if [ ! -x "$binary" ]; then
	echo "building Vault $version into $cache (some minutes, once)" >&2
	mkdir -p "$cache"
	new=$(mktemp "$cache/vault-$version.XXXXXX")
	trap 'rm -f "$new"' EXIT
	# minimal leaves out the cloud plugins; kv, approle, jwt, cert and transit stay.
	GOWORK=off go build -tags minimal -trimpath -ldflags "-s -w" -o "$new" . >&2
	chmod 755 "$new"
	mv -f "$new" "$binary" # whole or not at all, also when two build at once
	trap - EXIT
fi
printf '%s\n' "$binary"
