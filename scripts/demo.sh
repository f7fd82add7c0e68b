#!/usr/bin/env bash
# Builds the two programs and shows them at work: two peers, each behind a NAT of its own, chat and send a file.
# The NATs are network namespaces with nftables rules; nothing of them is left when it ends.
#   demo.sh [NAT-A NAT-B]   kinds: eim, eim-random, fullcone, adf, symmetric, public (default: eim-random eim)
set -euo pipefail
. "$(dirname "$0")/lib.sh"

scripts/setup.sh
build release pinhole pinhole-rendezvous natbox
as_root env PINHOLE_BUILD="$PWD/build/release" python3 -B tests/lab/demo.py "$@"
