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
    "$@" --gtest_brief=1 --gtest_color=no | grep --line-buffered -vE '^(Running main|\[=+\]|\[  PASSED|$)|object <' | cut -c1-240
}

# The table came to its end, and no aim was missed.
met() {
    grep -q "$2" "$1" && ! grep -qE 'Failure|FAILED' "$1"
}

echo "Every pair of NATs: D one side lets everybody in, S certain, N one side counts, M both count, B birthday, X nothing."
echo "Each cell of the map: '#' always direct, a digit: that many tenths, '.' never."
PINHOLE_SEEDS=${2:-8} run "$build/tests/sim/sim_connect_test" --gtest_filter='*AnyTwoNats*' |
    tee "$build/punch_sim_map.txt"
met "$build/punch_sim_map.txt" '^all: ' || failed=1

echo
echo "Classes of networks, over all rates of other traffic and all that NATs do with what is unsolicited."
echo "In brackets Wilson's 95 % interval; times from the instant both are told to start until both have heard each other;"
echo "packets of both sides together. Others, for a random NAT: EasyTier 84 x 700, openp2p 800 x 800 packets."
PINHOLE_SEEDS=${3:-25} run "$build/tests/sim/sim_punch_test" |
    tee "$build/punch_sim_classes.txt"
met "$build/punch_sim_classes.txt" '^ R x R' || failed=1
[ "$failed" = 0 ] && echo "every aim is met" || echo "an aim is missed"
exit "$failed"
