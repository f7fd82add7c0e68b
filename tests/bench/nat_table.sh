#!/bin/sh
# Prints the tables of the simulator: netcheck in every cell (100 seeds), the rate of other traffic, and who connects
# with whom (10 seeds). usage: nat_table.sh BUILD_FOLDER [seeds of netcheck] [seeds of connects]
set -eu
build=${1:?usage: nat_table.sh BUILD_FOLDER [seeds of netcheck] [seeds of connects]}
PINHOLE_SEEDS=${2:-100} "$build/tests/sim/sim_netcheck_test" --gtest_brief=1 --gtest_filter='*Table*:*OtherTraffic*'
PINHOLE_SEEDS=${3:-10} "$build/tests/sim/sim_connect_test" --gtest_brief=1 --gtest_filter='*AnyTwoNats*'
