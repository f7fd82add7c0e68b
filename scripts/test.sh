#!/usr/bin/env bash
# Builds and runs all tests. The last line is always `N passed, N failed, N skipped`; a test counts once, however many
# builds it ran in, and a failure in any of them is a failure.
#   --quick   only the release build: no sanitizers
set -euo pipefail
. "$(dirname "$0")/lib.sh"

quick=
case "${1:-}" in
    "") ;;
    --quick) quick=1 ;;
    *) die "unknown argument $1; there is --quick" ;;
esac

reports=build/reports
rm -rf "$reports"
mkdir -p "$reports"
broken=()

# run_tests PRESET NAME [ctest arguments]: one ctest run with a report of its own.
run_tests() {
    local preset=$1 name=$2
    shift 2
    say "testing $name"
    ctest --test-dir "build/$preset" --output-junit "$PWD/$reports/$name.xml" --output-on-failure --progress "$@" ||
        broken+=("$name")
}

# A build that fails is reported with the count of what ran before it.
attempt() { ("$@") || broken+=("$*"); }

scripts/setup.sh
attempt build release
# End-to-end tests mostly wait for their emulated networks.
run_tests release release -j "$((jobs + 1))"

if [ -z "$quick" ]; then
    # The fuzz preset is ASan and UBSan, and has the fuzzers for scripts/fuzz.sh: one build for both.
    attempt build fuzz
    export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1
    export UBSAN_OPTIONS=print_stacktrace=1
    run_tests fuzz asan-ubsan -j "$jobs" -LE 'e2e|interop'
    PINHOLE_PATIENCE=3 run_tests fuzz asan-ubsan-e2e -j "$jobs" -R '^e2e\.(Direct\.on_one_lan|Direct\.eim_random_to_eim$|Interruptions\.ctrl_c)'
    # What has threads: the shells, that is, the two programs.
    attempt build tsan pinhole pinhole-rendezvous natbox
    TSAN_OPTIONS=halt_on_error=1 PINHOLE_PATIENCE=4 run_tests tsan tsan-e2e -j "$jobs" \
        -R '^e2e\.(Direct\.public_to_eim$|Files\.several|Chat\.a_pipe)'
fi

[ ${#broken[@]} = 0 ] || say "failed: ${broken[*]}"
# Root can make namespaces, so a skipped end-to-end test would be a hole in the proof.
forbid=()
[ "$(id -u)" != 0 ] || forbid=(--forbid-skipping '^(e2e|interop)\.')
exec python3 scripts/count_tests.py "${forbid[@]}" ${broken:+--broken "${#broken[@]}"} "$reports"/*.xml
