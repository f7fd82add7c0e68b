#!/usr/bin/env bash
# fuzz.sh [SECONDS] [NAME…]: builds the fuzzers and runs each for that long (20 s). What it finds is kept in
# build/fuzz/findings/NAME; new inputs that reach new code in build/fuzz/corpus/NAME.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

seconds=${1:-20}
[[ $seconds =~ ^[0-9]+$ ]] || die "usage: fuzz.sh [SECONDS] [NAME…]"
scripts/setup.sh
cmake --preset fuzz >/dev/null
if [ $# -gt 1 ]; then
    names=("${@:2}")
else
    mapfile -t names < <(ninja -C build/fuzz -t targets all | sed -n 's/^fuzz_\([a-z0-9_]*\): phony$/\1/p' | sort)
fi
[ ${#names[@]} -gt 0 ] || die "there are no fuzzers"
build fuzz "${names[@]/#/fuzz_}"

fuzz_one() {
    local name=$1 seconds=$2 program seeds=() log
    program=$(find build/fuzz/tests -type f -name "fuzz_$name" -perm -u+x)
    mkdir -p "build/fuzz/corpus/$name" "build/fuzz/findings/$name"
    [ ! -d "tests/fuzz/corpus/$name" ] || seeds=("tests/fuzz/corpus/$name")
    log=build/fuzz/findings/$name/log
    if "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
        -artifact_prefix="build/fuzz/findings/$name/" "build/fuzz/corpus/$name" "${seeds[@]}" >"$log" 2>&1; then
        printf '%-28s %12s inputs, coverage %s\n' "$name" \
            "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" \
            "$(grep -oE 'cov: [0-9]+' "$log" | tail -n 1 | cut -c6-)"
    else
        printf '%-28s FAILED, see %s\n' "$name" "$log"
        tail -n 40 "$log" >&2
        return 1
    fi
}
export -f fuzz_one
say "fuzzing ${#names[@]} targets for $seconds s each"
printf '%s\n' "${names[@]}" | xargs -P "$jobs" -I{} bash -c "fuzz_one {} $seconds"
