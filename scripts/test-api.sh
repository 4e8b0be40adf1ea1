#!/usr/bin/env bash
# Sends a real server what its own OpenAPI document allows, and what it forbids, and checks each answer against the document.
# FEATURE_SCALE=on|off picks the mode that the salon is in; SECONDS_MAX bounds the time.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/packages.sh
. scripts/packages.sh
# shellcheck source=scripts/schemathesis.sh
. scripts/schemathesis.sh

export FEATURE_SCALE=${FEATURE_SCALE:-on}
seconds_max=${SECONDS_MAX:-50}
codeccloud=${CODECCLOUD:-${CARGO_TARGET_DIR:-target}/debug/codeccloud}
unset DATABASE_URL
install_schemathesis

directory=$(mktemp -d)
# Run by root, PostgreSQL's user has to pass.
chmod 711 "$directory"
server=
# The server is stopped whatever happens, its database with it.
finish() {
    code=$?
    if [ $code != 0 ]; then grep -E 'ERROR|panicked|^codeccloud:' "$directory/server.log" >&2 || true; fi
    if [ -n "$server" ]; then kill -TERM "$server" 2>/dev/null && wait "$server" || true; fi
    rm -rf "$directory"
    exit $code
}
trap finish EXIT

"$codeccloud" --data-dir "$directory/data" serve --demo --listen 127.0.0.1:0 >"$directory/out.log" 2>"$directory/server.log" &
server=$!
for _ in $(seq 300); do
    url=$(sed -n 's|^ *API *\(http://.*\)/v1$|\1|p' "$directory/out.log")
    if [ -n "$url" ] && curl -fs "$url/health/ready" >/dev/null; then break; fi
    kill -0 "$server" 2>/dev/null || fail "the server did not start"
    sleep 0.1
done

tenant=$("$codeccloud" --data-dir "$directory/data" tenant list --json | jq -r '.[] | select(.slug == "salon-aare").id')
token=$("$codeccloud" --data-dir "$directory/data" token --tenant salon-aare --role owner)
API_WORKSPACE=$tenant API_TOKEN=$token "$schemathesis" --config-file scripts/schemathesis.toml \
    run "$url/openapi.json" --max-time "$seconds_max"
