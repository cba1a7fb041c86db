#!/usr/bin/env bash
# A Ceph cluster on loopback for the time that this script's input stays open: one monitor, OSDS
# object stores on sparse files below DIR, a pool `reflux` with a copy on each of them. No cephx: for
# tests only. All daemons die with the script, and the script with whoever holds its input.
#
#   tests/ceph/cluster.sh DIR [OSDS]
#
# Installs ceph-mon and ceph-osd by apt when they are missing and it runs as root. Writes `ready` once
# the cluster serves (its configuration is DIR/ceph.conf), or `skip: <why>`. Then obeys lines of its
# input, answering each with `ok`:
#   kill N    SIGKILL to OSD N; the monitor is told that it is down
#   start N   brings OSD N back and waits until it is up
set -euo pipefail
directory=$1
osds=${2:-1}

skip() { echo "skip: $*"; exit 0; }

install() {
  command -v ceph-mon >/dev/null && command -v ceph-osd >/dev/null && command -v ceph >/dev/null && return
  [ "$(id -u)" -eq 0 ] || skip "ceph-mon and ceph-osd are not installed, and only root may install them"
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      ceph-mon ceph-osd ceph-common uuid-runtime; } >"$directory/apt.log" 2>&1 ||
    skip "apt cannot install ceph-mon and ceph-osd: $(tail -n 1 "$directory/apt.log")"
}

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

ceph_command() { timeout 30 ceph -c "$conf" "$@" 2>>"$directory/log/client.log"; }

# In the foreground, so that it dies with this shell.
daemon() { setpriv --pdeathsig KILL "$@" -f </dev/null >>"$directory/log/daemons.log" 2>&1 & }

write_configuration() {
  fsid=$(uuidgen)
  port=$(free_port)
  cat >"$conf" <<CONF
[global]
fsid = $fsid
mon initial members = a
mon host = [v2:127.0.0.1:$port/0]
auth cluster required = none
auth service required = none
auth client required = none
osd pool default size = $osds
osd pool default min size = 1
osd crush chooseleaf type = 0
mon allow pool size one = true
mon data avail warn = 1
mon data avail crit = 1
mon osd min down reporters = 1
osd heartbeat grace = 3
osd heartbeat interval = 1
osd objectstore = bluestore
bluestore block size = 4294967296
bluestore block create = true
osd memory target = 939524096
ms bind ipv6 = false
public addr = 127.0.0.1
cluster addr = 127.0.0.1
run dir = $directory/run
log file = $directory/log/\$name.log
admin socket =
crash dir = $directory/run
[mon.a]
mon data = $directory/mon
[osd]
osd data = $directory/osd\$id
[client]
log file = $directory/log/client.log
CONF
}

start_monitor() {
  monmaptool --create --fsid "$fsid" --addv a "[v2:127.0.0.1:$port]" "$directory/monmap" >/dev/null
  ceph-mon -c "$conf" --mkfs -i a --monmap "$directory/monmap"
  daemon ceph-mon -c "$conf" -i a
}

make_osd() {
  local uuid
  mkdir -p "$directory/osd$1"
  uuid=$(uuidgen)
  ceph_command osd new "$uuid" >/dev/null
  ceph-osd -c "$conf" -i "$1" --mkfs --osd-uuid "$uuid" 2>>"$directory/log/daemons.log"
}

start_osd() {
  daemon ceph-osd -c "$conf" -i "$1"
  pids[$1]=$!
}

await_osds() {
  for _ in $(seq 300); do
    ceph_command osd stat | grep -q "${#pids[@]} up" && return
    sleep 0.1
  done
  echo "the object stores do not come up; see $directory/log" >&2
  exit 1
}

kill_osd() {
  kill -KILL "${pids[$1]}"
  wait "${pids[$1]}" 2>/dev/null || true
  unset "pids[$1]"
  ceph_command osd down "$1" >/dev/null
}

install
declare -A pids
mkdir -p "$directory"/{mon,log,run}
conf=$directory/ceph.conf
trap 'kill -KILL $(jobs -p) 2>/dev/null || true' EXIT
write_configuration
start_monitor
for n in $(seq 0 $((osds - 1))); do make_osd "$n"; start_osd "$n"; done
await_osds
ceph_command osd pool create reflux 8 8 >/dev/null
echo ready
while read -r verb n; do
  case $verb in
    kill) kill_osd "$n" ;;
    start) start_osd "$n"; await_osds ;;
    *) echo "unknown command: $verb" >&2; exit 2 ;;
  esac
  echo ok
done
