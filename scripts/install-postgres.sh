#!/usr/bin/env bash
# Installs PostgreSQL's server binaries and contrib extensions where they are missing. Starts no server.
set -euo pipefail
# shellcheck source=scripts/packages.sh
. "$(dirname "$0")/packages.sh"

# The folders that the server itself searches (src/postgres/embedded/binaries.rs).
installed() {
    local initdb version
    for initdb in "${CODECCLOUD_POSTGRES_BIN:-/nowhere}/initdb" /usr/lib/postgresql/*/bin/initdb /usr/pgsql-*/bin/initdb \
        /usr/libexec/postgresql*/initdb {/opt/homebrew,/usr/local}/opt/postgresql*/bin/initdb "$(command -v initdb || true)"; do
        if [ -x "$initdb" ]; then
            version=$("$initdb" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
            if [ "${version:-0}" -ge 15 ]; then return 0; fi
        fi
    done
    return 1
}

# Debian would make and start a cluster of its own; where the administrator has configured that already, it stays so.
prevent_default_cluster() {
    local configuration=/etc/postgresql-common/createcluster.conf
    if [ ! -e "$configuration" ]; then
        as_root mkdir -p "${configuration%/*}"
        echo "create_main_cluster = false" | as_root tee "$configuration" >/dev/null
    fi
}

if installed; then exit 0; fi
case "$(package_manager)" in
apt-get)
    prevent_default_cluster
    install_packages postgresql
    ;;
dnf) install_packages postgresql-server postgresql-contrib ;;
apk) install_packages postgresql postgresql-contrib ;;
pacman) install_packages postgresql ;;
brew) install_packages postgresql@17 ;;
*) fail "install the PostgreSQL server (version 15 or newer, with its contrib extensions), then run this again" ;;
esac
installed || fail "this system's packages have no PostgreSQL server of version 15 or newer: install one from postgresql.org"
