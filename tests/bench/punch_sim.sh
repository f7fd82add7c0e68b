#!/bin/sh
# Punching in the simulator, in all conditions: the map of 27 x 27 NATs, and the classes of networks with how often they
# get through, how fast and with how many packets. Fails if an aim is missed.
# usage: punch_sim.sh BUILD_FOLDER [seeds of the map] [seeds of the classes]
set -u
usage='usage: punch_sim.sh BUILD_FOLDER [seeds of the map] [seeds of the classes]'
build=${1:?$usage}
export PINHOLE_ALL_CONDITIONS=1
failed=0

# What is left out: the test framework's own lines.
run() {
    "$@" --gtest_brief=1 --gtest_color=no | grep -vE '^(Running main|\[=+\]|\[  PASSED|$)|object <' | cut -c1-240
}

echo "Every pair of NATs: D one side lets everybody in, S certain, N one side counts, M both count, B birthday, X nothing."
echo "Each cell of the map: '#' always direct, a digit: that many tenths, '.' never."
PINHOLE_SEEDS=${2:-8} run "$build/tests/sim/sim_connect_test" --gtest_filter='*AnyTwoNats*' >"$build/punch_sim_map.txt"
grep -E 'Failure|FAILED' "$build/punch_sim_map.txt" >/dev/null && failed=1
cat "$build/punch_sim_map.txt"

echo
echo "Classes of networks, over all rates of other traffic and all that NATs do with what is unsolicited."
echo "In brackets Wilson's 95 % interval; times from the instant both are told to start until both have heard each other;"
echo "packets of both sides together. Others, for a random NAT: EasyTier 84 x 700, openp2p 800 x 800 packets."
PINHOLE_SEEDS=${3:-25} run "$build/tests/sim/sim_punch_test" >"$build/punch_sim_classes.txt"
grep -E 'Failure|FAILED' "$build/punch_sim_classes.txt" >/dev/null && failed=1
cat "$build/punch_sim_classes.txt"
[ "$failed" = 0 ] && echo "every aim is met" || echo "an aim is missed"
exit "$failed"
