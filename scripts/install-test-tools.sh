#!/usr/bin/env bash
# Installs what only the tests need and this system lacks: a headless browser, for the pages, PgBouncer, and the commands
# that the RUNBOOK's steps use, which a test runs as they stand there.
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

# Debian keeps servers where only root looks.
PATH="$PATH:/usr/sbin"
missing=()
for command in curl jq openssl pgbouncer; do
    command -v "$command" >/dev/null || missing+=("$command")
done
if ! browser_installed; then missing+=(chromium); fi
if [ ${#missing[@]} = 0 ]; then exit 0; fi
case "$(package_manager)" in
apt-get | dnf | apk | pacman) install_packages "${missing[@]}" ;;
brew)
    # There the browser is no package of the same kind.
    [[ " ${missing[*]} " != *" chromium "* ]] || fail "install Chromium or Google Chrome, then run this again"
    install_packages "${missing[@]}"
    ;;
*) fail "install ${missing[*]}, then run this again" ;;
esac
# The tests start their own; the one that a package starts serves nobody.
if [[ " ${missing[*]} " == *" pgbouncer "* ]] && command -v systemctl >/dev/null; then
    as_root systemctl disable --now pgbouncer >/dev/null 2>&1 || true
fi
