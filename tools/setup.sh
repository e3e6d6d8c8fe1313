#!/usr/bin/env bash
# Installs what the tests need and says what it could not install.
#
# Quick when everything is there. Never fails for a missing program: the tests
# that need it skip and say so, and fail instead where CI=true.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

missing=()
warn() {
	printf 'setup: WARNING: %s\n' "$*" >&2
	missing+=("$*")
}

# program=package: the program that a test or a check starts, and the Debian package that brings it.
programs=(
	cc=gcc               # cgo: the race detector and the openssl signer
	curl=curl            # walks through the README's commands
	openssl=openssl      # signs and reads keys as another implementation would
	node=nodejs          # the client SDKs that must accept our tokens
	chromium=chromium    # the demo page with its player
	wrk=wrk              # load for the benchmarks
	nginx=nginx          # a proxy in front, in tests; a file that the benchmarks measure against
	haproxy=haproxy      # the same; checks viewer tokens in the benchmarks
	caddy=caddy          # a proxy in front, in tests
	initdb=postgresql    # the store of many replicas
	shellcheck=shellcheck # lint of the scripts
)

# as_root runs a command as root: directly, or through sudo where that can ask or needs not to.
as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
		sudo "$@"
	else
		return 1
	fi
}

install_programs() {
	local entry packages=() PATH=$PATH:/usr/sbin # daemons are there
	for entry in /usr/lib/postgresql/*/bin; do PATH=$PATH:$entry; done
	for entry in "${programs[@]}"; do
		command -v "${entry%%=*}" >/dev/null || packages+=("${entry#*=}")
	done
	# npm is part of nodejs in some distributions and a package of its own in Debian.
	if ! command -v npm >/dev/null; then packages+=(npm); fi
	[ "${#packages[@]}" -gt 0 ] || return 0
	echo "setup: installing ${packages[*]}" >&2
	if ! command -v apt-get >/dev/null; then
		warn "no apt-get here; install by hand: ${packages[*]}"
		return 0
	fi
	local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300)
	as_root "${apt[@]}" update >/dev/null || warn "apt-get update did not succeed"
	as_root "${apt[@]}" install -y --no-install-recommends "${packages[@]}" >/dev/null && return 0
	# One that cannot be had must not keep the others away.
	for entry in "${packages[@]}"; do
		as_root "${apt[@]}" install -y --no-install-recommends "$entry" >/dev/null ||
			warn "apt-get could not install $entry (root or sudo is needed)"
	done
}

# install_node_modules runs `npm ci --ignore-scripts` where package-lock.json has changed since the last time.
install_node_modules() {
	local lock=$1/package-lock.json stamp=$1/node_modules/.playgate-lock
	[ -f "$lock" ] || return 0
	cmp -s "$lock" "$stamp" && return 0
	if ! command -v npm >/dev/null; then
		warn "npm is missing; $1 stays without its packages"
		return 0
	fi
	echo "setup: npm ci --ignore-scripts in $1" >&2
	# Debian's chromium is used; a browser of npm's own is never downloaded.
	if PUPPETEER_SKIP_DOWNLOAD=1 PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 \
		npm ci --ignore-scripts --prefix "$1" --no-audit --no-fund --loglevel=error >&2; then
		cp "$lock" "$stamp"
	else
		warn "npm ci --ignore-scripts in $1 did not succeed"
	fi
}

# check_node warns of a Node that is too old for the packages in e2e/node and benchmarks/peers/node.
check_node() {
	local major
	major=$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0)
	[ "$major" -ge 20 ] || warn "node is missing or older than 20 (Debian 12's own is 18)"
}

install_programs
check_node
install_node_modules e2e/node
install_node_modules benchmarks/peers/node

# The real Vault is compiled from its module (minutes, once; then cached).
if [ -x tools/vault/build.sh ]; then
	tools/vault/build.sh >/dev/null || warn "Vault did not build; its tests have no server"
fi

if [ "${#missing[@]}" -gt 0 ]; then
	printf '\nsetup: INCOMPLETE, tests that need the following will not run:\n' >&2
	printf 'setup:   - %s\n' "${missing[@]}" >&2
fi
