#!/bin/sh
# Starts SLURM on this one machine, for tests of `ffprobe sweep --executor slurm`: munge, slurmctld, slurmd, one node with
# this machine's cores, one partition "here", no accounting. Needs root and Debian's packages:
#     apt-get install slurmctld slurmd slurm-client munge
#
#     tests/cluster/slurm-here.sh start DIR    everything that it writes lies in DIR (and munge's key in /etc/munge)
#     tests/cluster/slurm-here.sh stop DIR
#
# After start: export SLURM_CONF=DIR/slurm.conf
set -eu
[ $# = 2 ] || { sed -n '2,10p' "$0"; exit 2; }
mkdir -p "$2"
dir=$(cd "$2" && pwd)

stop() {
  for name in slurmd slurmctld munged; do
    [ -f "$dir/$name.pid" ] && kill "$(cat "$dir/$name.pid")" 2>/dev/null || true
    rm -f "$dir/$name.pid"
  done
}

start() {
  host=$(hostname -s)
  mkdir -p "$dir/state" "$dir/spool" "$dir/log"
  [ -f /etc/munge/munge.key ] || dd if=/dev/urandom of=/etc/munge/munge.key bs=1024 count=1 2>/dev/null
  chown munge: /etc/munge/munge.key && chmod 400 /etc/munge/munge.key
  chown munge: "$dir/log" && chmod 755 "$dir" "$dir/log"
  mkdir -p /run/munge && chown munge: /run/munge && chmod 755 /run/munge
  [ -S /run/munge/munge.socket.2 ] && munge -n >/dev/null 2>&1 ||
    su -s /bin/sh munge -c "/usr/sbin/munged --force --log-file='$dir/log/munged.log' --pid-file=/run/munge/munged.pid"
  cp /run/munge/munged.pid "$dir/munged.pid" 2>/dev/null || true
  cat > "$dir/slurm.conf" <<CONF
ClusterName=here
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
ReturnToService=2
KillWait=30
MinJobAge=60
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/slurmd.log
SlurmctldPort=16817
SlurmdPort=16818
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$(awk '/MemTotal/ {print int($2 / 1024 * 0.9)}' /proc/meminfo) State=UNKNOWN
PartitionName=here Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
  export SLURM_CONF="$dir/slurm.conf"
  slurmctld
  slurmd
  for _ in $(seq 30); do
    sinfo --noheader --format=%T 2>/dev/null | grep -q idle && return
    sleep 1
  done
  echo "SLURM does not come up; the logs are in $dir/log" >&2
  sinfo >&2 || true
  tail -n 20 "$dir/log/"*.log >&2
  exit 1
}

case $1 in start) start ;; stop) stop ;; *) exit 2 ;; esac
