# Sourced by the install scripts: how to install a package, whatever this system's package manager is.
# shellcheck shell=bash

fail() {
    echo "$1" >&2
    exit 1
}

# Runs a command as root, by sudo where we are not.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        fail "needs root to run \`$*\`: run it as root, or install sudo"
    fi
}

# The first package manager of this system that we know; nothing where there is none.
package_manager() {
    local manager
    for manager in apt-get dnf apk pacman brew; do
        if command -v "$manager" >/dev/null; then
            echo "$manager"
            return
        fi
    done
}

apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1 \
        apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 "$@" >/dev/null
}

# Installs the named packages of this system's package manager.
install_packages() {
    echo "installing: $*" >&2
    case "$(package_manager)" in
    apt-get)
        as_root apt-get update -qq
        # Another installation may hold the lock, or have been broken off half-way: wait, repair, and try once more.
        apt_install "$@" || { as_root dpkg --configure -a && apt_install "$@"; }
        ;;
    dnf) as_root dnf install -y -q "$@" ;;
    apk) as_root apk add --quiet "$@" ;;
    pacman) as_root pacman -Sy --needed --noconfirm --quiet "$@" ;;
    brew) brew install --quiet "$@" ;;
    esac
}
