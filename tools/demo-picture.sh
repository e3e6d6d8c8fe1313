#!/usr/bin/env bash
# Takes the picture of the running demo that the README shows: docs/demo.webp.
# Needs Node 20, Chromium and e2e/node/node_modules (tools/setup.sh installs them).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

gateway=${DEMO_LISTEN:-127.0.0.1:18080}
mux=${DEMO_MUX_LISTEN:-127.0.0.1:18081}
work=$(mktemp -d)
demo=
finish() {
	[ -z "$demo" ] || kill "$demo" 2>/dev/null || true
	rm -rf "$work"
}
trap finish EXIT

chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || {
	echo "demo-picture: there is no Chromium (make setup installs it)" >&2
	exit 1
}
go build -o "$work/playgate" .
"$work/playgate" demo --listen "$gateway" --mux-listen "$mux" >/dev/null 2>"$work/log" &
demo=$!
for _ in $(seq 100); do
	if curl -sf -o /dev/null "http://$gateway/demo/"; then break; fi
	kill -0 "$demo" 2>/dev/null || { cat "$work/log" >&2; exit 1; }
	sleep 0.1
done
mkdir "$work/profile"
printf '{"browser":{"executable":"%s","profile":"%s"},"demo":"http://%s/demo/","file":"docs/demo.webp"}' \
	"$chromium" "$work/profile" "$gateway" | node e2e/node/picture.mjs
echo "docs/demo.webp: $(wc -c <docs/demo.webp) bytes"
