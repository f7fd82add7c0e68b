#!/usr/bin/env bash
# Installs the packages that building and testing need (Debian 12), if any is missing.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages=(
    # compiler and tools
    clang-19 lld-19 libclang-rt-19-dev clang-tidy-19 clang-format-19 llvm-19 cmake ninja-build ccache pkg-config
    # libraries
    libboost1.81-dev libsodium-dev libprotobuf-dev protobuf-compiler libsqlite3-dev libcli11-dev nlohmann-json3-dev
    libfmt-dev libssl-dev libgtest-dev libgmock-dev libtomlplusplus-dev
    # the lab
    nftables iproute2 util-linux procps python3 conntrack
    # what others say of our NATs and our server (tests/interop)
    coturn b3sum stun-client tshark python3-aioice python3-gi gir1.2-nice-0.1
)

missing=()
installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${packages[@]}" 2>/dev/null || true)
for package in "${packages[@]}"; do
    grep -qx "installed $package" <<<"$installed" || missing+=("$package")
done
[ ${#missing[@]} = 0 ] && exit 0

say "installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
# coturn is wanted for its programs: its service must neither start here nor at the next boot.
policy=/usr/sbin/policy-rc.d
[ -e "$policy" ] && policy=
clean_up() {
    rm -f "$log"
    [ -z "$policy" ] || as_root rm -f "$policy"
}
trap clean_up EXIT
[ -z "$policy" ] || printf '#!/bin/sh\nexit 101\n' | as_root install -m 755 /dev/stdin "$policy"
install() { as_root apt-get install -y -q --no-install-recommends "${missing[@]}" >"$log" 2>&1; }
# A fresh machine has no package lists, or old ones.
if ! install && ! { as_root apt-get update -q >"$log" 2>&1 && install; }; then
    tail -n 20 "$log" >&2
    die "apt-get could not install ${missing[*]}; this needs Debian 12 with its usual sources"
fi
if [[ " ${missing[*]} " == *" coturn "* ]] && command -v systemctl >/dev/null; then
    as_root systemctl disable coturn >"$log" 2>&1 || true
fi
