#!/usr/bin/env bash
# build.sh [PRESET] [TARGET…]: installs what is missing and builds into build/PRESET (dev, release, asan, tsan, fuzz).
set -euo pipefail
. "$(dirname "$0")/lib.sh"

scripts/setup.sh
build "${1:-release}" "${@:2}"
