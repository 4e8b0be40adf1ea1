#!/usr/bin/env bash
# Sends real servers what their own OpenAPI document allows, and what it forbids, and checks each answer against the
# document: in MVP mode and in scale mode. FEATURE_SCALE=on|off picks one of them; SECONDS_MAX bounds the time of each.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/packages.sh
. scripts/packages.sh
# shellcheck source=scripts/schemathesis.sh
. scripts/schemathesis.sh

read -ra modes <<<"${FEATURE_SCALE:-off on}"
seconds_max=${SECONDS_MAX:-45}
codeccloud=${CODECCLOUD:-${CARGO_TARGET_DIR:-target}/debug/codeccloud}
unset DATABASE_URL
install_schemathesis

directory=$(mktemp -d)
# Run by root, PostgreSQL's user has to pass.
chmod 711 "$directory"
server=
stop() {
    if [ -n "$server" ]; then kill -TERM "$server" 2>/dev/null && wait "$server" || true; fi
    server=
}
# The server is stopped whatever happens, its database with it.
finish() {
    code=$?
    if [ $code != 0 ]; then grep -hE 'ERROR|panicked|^codeccloud:' "$directory"/*/server.log >&2 || true; fi
    stop
    rm -rf "$directory"
    exit $code
}
trap finish EXIT

fuzz() {
    local here=$directory/$FEATURE_SCALE url tenant token
    mkdir "$here"
    chmod 711 "$here"
    echo "FEATURE_SCALE=$FEATURE_SCALE"
    "$codeccloud" --data-dir "$here/data" serve --demo --listen 127.0.0.1:0 >"$here/out.log" 2>"$here/server.log" &
    server=$!
    for _ in $(seq 300); do
        url=$(sed -n 's|^ *API *\(http://.*\)/v1$|\1|p' "$here/out.log")
        if [ -n "$url" ] && curl -fs "$url/health/ready" >/dev/null; then break; fi
        kill -0 "$server" 2>/dev/null || fail "the server did not start"
        sleep 0.1
    done
    tenant=$("$codeccloud" --data-dir "$here/data" tenant list --json | jq -r '.[] | select(.slug == "salon-aare").id')
    token=$("$codeccloud" --data-dir "$here/data" token --tenant salon-aare --role owner)
    API_WORKSPACE=$tenant API_TOKEN=$token "$schemathesis" --config-file scripts/schemathesis.toml \
        run "$url/openapi.json" --max-time "$seconds_max"
    stop
}

for mode in "${modes[@]}"; do
    export FEATURE_SCALE=$mode
    fuzz
done
