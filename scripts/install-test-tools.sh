#!/usr/bin/env bash
# Installs what only the tests need and this system lacks: a headless browser, for the pages.
set -euo pipefail
# shellcheck source=scripts/packages.sh
. "$(dirname "$0")/packages.sh"

installed() {
    local browser
    for browser in chromium chromium-browser google-chrome; do
        if command -v "$browser" >/dev/null; then return 0; fi
    done
    [ -d "/Applications/Google Chrome.app" ] || [ -d /Applications/Chromium.app ]
}

if installed; then exit 0; fi
case "$(package_manager)" in
apt-get | dnf | apk | pacman) install_packages chromium ;;
*) fail "install Chromium or Google Chrome, then run this again" ;;
esac
