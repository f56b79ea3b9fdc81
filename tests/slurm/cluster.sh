#!/usr/bin/env bash
# A Slurm cluster of two nodes on this one machine, for tests: all its files lie in a folder of its own, and it touches
# neither /etc nor the ports of a real one. Needs root and Debian's packages: apt-get install slurm-wlm munge
#
#   tests/slurm/cluster.sh start FOLDER     then: export SLURM_CONF=FOLDER/slurm.conf
#   tests/slurm/cluster.sh stop FOLDER
set -euo pipefail

action="${1:?start or stop}"
folder="$(realpath -m "${2:?a folder}")"

case "$action" in
start)
    mkdir -p "$folder"/{munge,state,spool-one,spool-two}
    chmod 700 "$folder/munge"
    [[ -e "$folder/munge/key" ]] || head -c 128 /dev/urandom > "$folder/munge/key"
    chmod 400 "$folder/munge/key"
    # Sockets of a path over 108 bytes cannot be made, and folders of tests may be deep.
    socket="$(mktemp -d /tmp/slurm-test.XXXXXX)"
    chmod 755 "$socket"
    echo "$socket" > "$folder/socket"
    munged --force --key-file="$folder/munge/key" --socket="$socket/munge" --pid-file="$folder/munge.pid" \
        --log-file="$folder/munge/log" --seed-file="$folder/munge/seed"
    read -r control one two < <(python3 - <<'PORTS'
import socket
probes = [socket.socket() for _ in range(3)]
for probe in probes:
    probe.bind(("127.0.0.1", 0))
print(*(probe.getsockname()[1] for probe in probes))
PORTS
    )
    cores="$(nproc --all)"
    memory="$(awk '/^MemTotal/ {print int($2 / 1024)}' /proc/meminfo)"
    cat > "$folder/slurm.conf" <<CONF
ClusterName=test
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=$control
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$socket/munge
CredType=cred/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool-%n
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd-%n.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
MpiDefault=none
KillWait=5
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
NodeName=one NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 Port=$one CPUs=$cores RealMemory=$memory State=UNKNOWN
NodeName=two NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 Port=$two CPUs=$cores RealMemory=$memory State=UNKNOWN
PartitionName=main Nodes=one,two Default=YES MaxTime=60 State=UP OverSubscribe=NO
CONF
    export SLURM_CONF="$folder/slurm.conf"
    slurmctld
    slurmd -N one
    slurmd -N two
    for _ in $(seq 60); do
        [[ "$(sinfo --noheader --format=%t --states=idle 2>> "$folder/sinfo.log")" == idle ]] && exit 0
        sleep 0.5
    done
    echo "the cluster did not come up: see $folder" >&2
    exit 1
    ;;
stop)
    export SLURM_CONF="$folder/slurm.conf"
    scancel --user=root --full 2>> "$folder/sinfo.log" || true
    for file in "$folder"/slurmd-one.pid "$folder"/slurmd-two.pid "$folder/slurmctld.pid" "$folder/munge.pid"; do
        [[ -s "$file" ]] || continue
        pid="$(cat "$file")"
        kill "$pid" 2>> "$folder/sinfo.log" || true
        for _ in $(seq 40); do [[ -d "/proc/$pid" ]] || break; sleep 0.25; done
    done
    [[ -s "$folder/socket" ]] && rm -rf -- "$(cat "$folder/socket")"
    ;;
*)
    echo "start or stop, not $action" >&2
    exit 2
    ;;
esac
