# shellcheck shell=bash
# What the scripts share; sourced, after `set -euo pipefail`. Leaves the caller in the root of the tree.

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
jobs=${JOBS:-$(nproc)}

say() { printf '== %s\n' "$*" >&2; }

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo -- "$@"
    else
        die "needs root for: $*"
    fi
}

# build PRESET [TARGET…]: configures the preset and builds the targets, or everything; quiet unless it fails.
build() {
    local preset=$1 log began=$SECONDS target=()
    shift
    [ $# = 0 ] || target=(--target "$@")
    mkdir -p "build/$preset"
    log=build/$preset/build.log
    say "building $preset ${*:+($*)}"
    if ! { cmake --preset "$preset" && cmake --build "build/$preset" -j "$jobs" "${target[@]}"; } >"$log" 2>&1; then
        grep -nE 'FAILED|error|Error' "$log" | head -40 >&2
        tail -n 30 "$log" >&2
        die "the $preset build failed; all of it is in $log"
    fi
    say "built $preset in $((SECONDS - began)) s"
}
