#!/usr/bin/env bash
# Installs what only the tests need and this system lacks: a headless browser, for the pages, Redis, PgBouncer, the commands
# that the RUNBOOK's steps use, which a test runs as they stand there, and a mail server and a reader of webhooks in Python.
set -euo pipefail
# shellcheck source=scripts/packages.sh
. "$(dirname "$0")/packages.sh"

browser_installed() {
    local browser
    for browser in chromium chromium-browser google-chrome; do
        if command -v "$browser" >/dev/null; then return 0; fi
    done
    [ -d "/Applications/Google Chrome.app" ] || [ -d /Applications/Chromium.app ]
}

tools="${CODECCLOUD_TEST_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/codeccloud-test-tools}"

python_tools_installed() { "$tools/bin/python" -c 'import aiosmtpd, standardwebhooks' 2>/dev/null; }

# What a bare Debian leaves out of Python.
python_complete() { python3 -c 'import ensurepip, venv' 2>/dev/null; }

install_missing() {
    case "$(package_manager)" in
    apt-get | dnf | apk | pacman) install_packages "$@" ;;
    brew)
        # There the browser is no package of the same kind.
        [[ " $* " != *" chromium "* ]] || fail "install Chromium or Google Chrome, then run this again"
        install_packages "$@"
        ;;
    *) fail "install $*, then run this again" ;;
    esac
}

# The package that has redis-server, on this system.
redis_package() {
    case "$(package_manager)" in
    apt-get) echo redis-server ;;
    *) echo redis ;;
    esac
}

# Debian starts a service with the package, if there is anything that starts services; tests start servers of their own.
leave_no_server_running() {
    if [ "$(package_manager)" = apt-get ] && [ -d /run/systemd/system ] && command -v systemctl >/dev/null; then
        as_root systemctl disable --now --quiet "$1"
    fi
}

# Debian keeps servers where only root looks.
PATH="$PATH:/usr/sbin"
missing=()
for command in curl jq openssl pgbouncer; do
    command -v "$command" >/dev/null || missing+=("$command")
done
if ! browser_installed; then missing+=(chromium); fi
if ! python_tools_installed && ! python_complete; then
    case "$(package_manager)" in
    apt-get) missing+=(python3 python3-venv) ;;
    pacman) missing+=(python) ;;
    *) missing+=(python3) ;;
    esac
fi
redis=$(command -v redis-server || true)
if [ -z "$redis" ]; then missing+=("$(redis_package)"); fi
if [ ${#missing[@]} != 0 ]; then install_missing "${missing[@]}"; fi
if [ -z "$redis" ]; then leave_no_server_running redis-server; fi
if [[ " ${missing[*]} " == *" pgbouncer "* ]]; then leave_no_server_running pgbouncer; fi
if ! python_tools_installed; then
    # An environment of their own, which the tests find under the same name.
    python3 -m venv "$tools"
    "$tools/bin/pip" install --quiet --disable-pip-version-check aiosmtpd==1.4.6 standardwebhooks==1.0.0
fi
