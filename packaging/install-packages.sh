#!/bin/sh
# Installs the missing Debian packages of a list file; does nothing if all are installed.
set -eu
list=$1
names=$(sed 's/#.*//' "$list")
missing=""
for name in $names; do
    state=$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null || true)
    [ "$state" = installed ] || missing="$missing $name"
done
[ -n "$missing" ] || exit 0
echo "setup: Debian packages:$missing" >&2
if [ "$(id -u)" != 0 ]; then
    echo "setup: root is needed to install them: apt-get install$missing" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# A new host often runs its first update now, so wait for the lock of apt.
# shellcheck disable=SC2086  # a list of names
if ! { apt-get -q update && apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends $missing; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "setup: apt-get failed; fix the error above and run make again" >&2
    exit 1
fi
