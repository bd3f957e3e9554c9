# Writes the configuration of the cluster; sourced by up.sh, which sets DIR, NODES, GPUS, CPUS, MEMORY, PORT and SOCKET.
# shellcheck shell=bash disable=SC2153

CHANGED=no

# Replaces the file $1, of mode $2, by standard input if that differs. Not for the end of a pipe: it sets CHANGED.
put() {
    local new
    new=$(mktemp "$1.XXXXXX") || die "cannot write beside $1"
    cat >"$new"
    chmod "$2" "$new"
    if cmp -s "$new" "$1"; then
        rm -f "$new"
    else
        mv -f "$new" "$1"
        CHANGED=yes
    fi
}

# Prints $1 if it equals $2, else [$1-$2], as SLURM writes lists.
span() { if [ "$1" -eq "$2" ]; then echo "$1"; else echo "[$1-$2]"; fi; }

node_list() { echo "node$(span 1 "$NODES")"; }

# Devices that SLURM hands out as GPUs. They must be character devices: with a plain file the node comes up, but jobs
# get no CUDA_VISIBLE_DEVICES. These are clones of /dev/null.
make_gpus() {
    local number device
    for ((number = 0; number < GPUS; number++)); do
        device=$DIR/dev/nvidia$number
        [ -c "$device" ] && continue
        rm -f "$device"
        mknod -m 666 "$device" c 1 3 || die "cannot make the device $device here; --gpus 0 does without"
    done
}

slurm_conf() {
    local host number gpus=
    host=$(hostname -s 2>/dev/null || hostname)
    [ "$GPUS" -eq 0 ] || gpus=" Gres=gpu:fake:$GPUS"
    # cred_expire is also how long a requeued job waits before it starts again.
    cat <<END
# written by up.sh
ClusterName=local
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$SOCKET,cred_expire=5
SlurmctldPort=$PORT
SlurmctldPidFile=$DIR/run/slurmctld.pid
SlurmctldLogFile=$DIR/log/slurmctld.log
SlurmdPidFile=$DIR/run/slurmd-%n.pid
SlurmdLogFile=$DIR/log/slurmd-%n.log
SlurmdSpoolDir=$DIR/spool/%n
StateSaveLocation=$DIR/state
# no cgroups, no systemd
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
# nodes may claim more than this machine has
SlurmdParameters=config_overrides
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=256
GresTypes=gpu
# quick reactions, for tests and trials
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_interval=2,sched_min_interval=100000,batch_sched_delay=0,max_switch_wait=1
KillWait=5
CompleteWait=0
InactiveLimit=0
MinJobAge=3600
SlurmctldTimeout=60
SlurmdTimeout=300
MessageTimeout=20
TCPTimeout=5
JobRequeue=1
MailProg=/bin/true
MaxArraySize=1001
PropagateResourceLimits=NONE
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=$((PORT + 1))
# without this, munge's default socket is used for accounting, and its server is not ours
AccountingStoragePass=$SOCKET
AccountingStorageTRES=cpu,mem,node,billing,gres/gpu
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=30
END
    for ((number = 1; number <= NODES; number++)); do
        echo "NodeName=node$number NodeHostname=$host NodeAddr=127.0.0.1 Port=$((PORT + 2 + number)) CPUs=$CPUS" \
            "Boards=1 SocketsPerBoard=1 CoresPerSocket=$CPUS ThreadsPerCore=1 RealMemory=$MEMORY$gpus State=UNKNOWN"
    done
    echo "PartitionName=test Nodes=$(node_list) Default=YES MaxTime=1-00:00:00 DefaultTime=10 State=UP"
}

gres_conf() {
    echo "# written by up.sh"
    echo "AutoDetect=off"
    [ "$GPUS" -eq 0 ] ||
        echo "NodeName=$(node_list) Name=gpu Type=fake File=$DIR/dev/nvidia$(span 0 $((GPUS - 1)))"
}

slurmdbd_conf() {
    cat <<END
# written by up.sh
AuthType=auth/munge
AuthInfo=socket=$SOCKET
DbdHost=$(hostname -s 2>/dev/null || hostname)
DbdAddr=127.0.0.1
DbdPort=$((PORT + 1))
SlurmUser=root
PidFile=$DIR/run/slurmdbd.pid
LogFile=$DIR/log/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=$((PORT + 2))
StorageUser=slurm
StoragePass=$(cat "$DIR/etc/database.password")
StorageLoc=slurm_acct_db
END
}

# What /etc/hosts says inside the nodes: ranks find the first node of their job by its name.
hosts() {
    local number
    cat /etc/hosts
    printf '127.0.0.1'
    for ((number = 1; number <= NODES; number++)); do printf ' node%d' "$number"; done
    echo
}

write_configuration() {
    make_gpus
    [ -s "$DIR/etc/database.password" ] ||
        (umask 077 && head -c 18 /dev/urandom | base64 | tr -d '/+=' >"$DIR/etc/database.password")
    put "$DIR/etc/gres.conf" 644 < <(gres_conf)
    put "$DIR/etc/cgroup.conf" 644 < <(printf '# written by up.sh: no cgroup plugin is used\nCgroupAutomount=no\n')
    put "$DIR/etc/slurm.conf" 644 < <(slurm_conf)
    put "$DIR/etc/slurmdbd.conf" 600 < <(slurmdbd_conf)
    put "$DIR/etc/hosts" 644 < <(hosts)
    put "$DIR/env.sh" 644 <<<"export SLURM_CONF=$DIR/etc/slurm.conf"
}
