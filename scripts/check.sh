#!/usr/bin/env bash
# What CI checks besides the tests: formatting, the layers, scripts, traces of a machine, clang-tidy.
#   --no-tidy   everything that takes seconds
# clang-tidy remembers files that are clean (in build/tidy) and gets TIDY_SECONDS (default 300) for the rest,
# newest first; what it did not reach is listed, and is looked at by the next run.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

scripts/setup.sh
failures=0
fail() {
    printf 'FAILED: %s\n' "$*"
    failures=$((failures + 1))
}
mapfile -t sources < <(git ls-files -- '*.cpp' '*.hpp')

say "clang-format"
clang-format-19 --dry-run -Werror "${sources[@]}" || fail "run clang-format-19 -i on these files"

say "layers"
python3 scripts/check_layers.py || fail "includes against the architecture"

say "scripts"
while read -r mode _ _ path; do
    { [ -f "$path" ] && IFS= read -r first <"$path"; } 2>/dev/null || continue
    if [[ $first == '#!'* && $mode != 100755 ]]; then
        fail "$path has no executable bit: git update-index --chmod=+x $path"
    fi
    [[ $first != '#!'*bash* ]] || bash -n "$path" || fail "$path"
done < <(git ls-files -s)
mapfile -t python < <(git ls-files -- '*.py')
python3 - "${python[@]}" <<'PY' || fail "python syntax"
import sys
for path in sys.argv[1:]:
    compile(open(path, encoding="utf-8").read(), path, "exec")
PY

say "traces of a machine"
# Absolute paths of somebody's home or work folder; the pattern is split so that it does not find itself.
traces='(^|[^A-Za-z0-9_.~<>-])/(wor''k|roo''t|farm|home/[a-z]+)/'
if git grep -nIE "$traces" -- . ':!tests/fuzz/corpus'; then
    fail "paths of a machine"
fi

if [ "${1:-}" != --no-tidy ]; then
    build release  # clang-tidy needs the generated headers and the compile commands
    say "clang-tidy"
    python3 scripts/tidy.py build/release --jobs "$jobs" --seconds "${TIDY_SECONDS:-300}" || fail "clang-tidy"
fi

[ "$failures" = 0 ] || die "$failures checks failed"
say "all checks passed"
