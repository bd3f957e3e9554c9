#!/usr/bin/env bash
# up.sh DIR [options]: a real SLURM cluster of several nodes on one machine, to try things and for tests.
#
# Runs munged, MariaDB, slurmdbd, slurmctld and one slurmd per node as root, without systemd, containers or cgroups;
# every file lies in DIR. Idle it costs about 150 MB of memory. Calling it again starts only what is not running.
#
#   --nodes N    nodes node1..nodeN                                      [2]
#   --gpus N     fake GPUs of each node: jobs get CUDA_VISIBLE_DEVICES   [4]
#   --cpus N     cores that each node claims, more than there are if you like   [8]
#   --memory N   memory that each node claims, in MB                     [16384]
#   --port N     first of 3 + N ports (default: the first free ones from 17000 on)
#
# Afterwards:  source DIR/env.sh     Stop it with:  down.sh DIR [--wipe]
set -u -o pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=launchers/local_slurm/common.sh
. "$here/common.sh"
# shellcheck source=launchers/local_slurm/configuration.sh
. "$here/configuration.sh"
# shellcheck source=launchers/local_slurm/daemons.sh
. "$here/daemons.sh"

usage() { sed -n '2,/^set /s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; }

NODES=2 GPUS=4 CPUS=8 MEMORY=16384 PORT=

read_options() {
    local name
    while [ $# -gt 0 ]; do
        case $1 in
            --nodes | --gpus | --cpus | --memory | --port)
                name=${1#--}
                [[ ${2:-} =~ ^[0-9]+$ ]] || die "$1 needs a whole number; got '${2:-}'"
                printf -v "${name^^}" '%s' "$2"
                shift 2
                ;;
            *) die "unknown option '$1'; up.sh --help lists them" ;;
        esac
    done
    [ "$NODES" -ge 1 ] || die "--nodes must be at least 1"
}

check_machine() {
    local program missing=()
    [ "$(id -u)" -eq 0 ] || die "must run as root: slurmd starts jobs as their users, and the GPUs are made by mknod"
    for program in munged mungekey munge unmunge slurmctld slurmd slurmdbd sacctmgr mariadbd sbatch srun; do
        command -v "$program" >/dev/null || missing+=("$program")
    done
    [ ${#missing[@]} -eq 0 ] || die "not installed: ${missing[*]}. Run:
    apt-get update && apt-get install -y --no-install-recommends $PACKAGES"
}

# Uses the ports of the last time, or finds as many free ones as the nodes need.
choose_ports() {
    local first number free
    [ -n "$PORT" ] || PORT=$(cat "$DIR/etc/port" 2>/dev/null)
    for ((first = 17000; first < 30000; first += 50)); do
        [ -z "$PORT" ] || break
        free=yes
        for ((number = 0; number < NODES + 3; number++)); do
            port_answers $((first + number)) && free=no
        done
        [ $free = no ] || PORT=$first
    done
    [ -n "$PORT" ] || die "no $((NODES + 3)) free ports in a row between 17000 and 30000"
    echo "$PORT" >"$DIR/etc/port"
}

stop_readers_of_configuration() {
    local file
    for file in "$DIR"/run/slurmd-*.pid; do [ ! -e "$file" ] || stop "$file" slurmd 10; done
    stop "$DIR/run/slurmctld.pid" slurmctld 15
}

main() {
    case ${1:-} in
        -h | --help) usage && exit 0 ;;
        '' | -*) usage >&2 && exit 1 ;;
    esac
    DIR=$1
    shift
    read_options "$@"
    check_machine
    mkdir -p "$DIR" && DIR=$(cd "$DIR" && pwd -P) || die "cannot make the directory $DIR"
    [[ $DIR != *[[:space:]\'\"\#]* ]] || die "the path must hold no blanks, quotes or '#': $DIR"
    SOCKET=$DIR/munge/munge.socket
    [ ${#SOCKET} -lt 100 ] || die "the path is too long for a socket: $SOCKET"
    mkdir -p "$DIR"/{etc,run,log,munge,state,spool,dev} || die "cannot write in $DIR"
    chmod 755 "$DIR" "$DIR"/{etc,run,log,munge,state,spool,dev}
    exec 9>"$DIR/run/up.lock"
    flock -w 60 9 || die "another up.sh is at work in $DIR"

    choose_ports
    write_configuration
    export SLURM_CONF=$DIR/etc/slurm.conf
    cd "$DIR/run" || die "cannot enter $DIR/run"
    [ $CHANGED = no ] || stop_readers_of_configuration # jobs live on
    start_munge
    start_accounting
    start_controller
    start_nodes
    wait_for_nodes
    sinfo -N -o '%10N %10T %5c %8m %20G'
    say "up; now: source $DIR/env.sh"
}

main "$@"
