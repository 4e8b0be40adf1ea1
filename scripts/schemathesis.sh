# Sourced by scripts that use schemathesis: one version for everybody, in an environment of its own.
# shellcheck shell=bash

schemathesis_version=4.32.5
schemathesis_home=${CODECCLOUD_TEST_TOOLS:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/codeccloud}/schemathesis-$schemathesis_version
schemathesis=$schemathesis_home/bin/schemathesis

# Built beside its place and moved there when complete, so that one that was broken off is not taken for whole.
install_schemathesis() {
    if [ -e "$schemathesis_home/complete" ]; then return; fi
    echo "installing: schemathesis $schemathesis_version" >&2
    rm -rf "$schemathesis_home"
    python3 -m venv "$schemathesis_home"
    "$schemathesis_home/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$schemathesis_version"
    touch "$schemathesis_home/complete"
}
