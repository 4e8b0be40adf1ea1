#!/usr/bin/env bash
# Runs every test; in parallel processes where cargo-nextest is installed.
set -euo pipefail
if cargo nextest --version >/dev/null 2>&1; then
    # nextest leaves out documentation tests.
    cargo nextest run --workspace "$@"
    cargo test --workspace --doc --quiet
else
    cargo test --workspace "$@"
fi
