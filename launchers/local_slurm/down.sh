#!/usr/bin/env bash
# down.sh DIR [--wipe]: stops the cluster that up.sh started in DIR, and nothing else; --wipe also deletes its files.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=launchers/local_slurm/common.sh
. "$here/common.sh"

[ $# -ge 1 ] || die "usage: down.sh DIR [--wipe]"
[ "$(id -u)" -eq 0 ] || die "must run as root, as up.sh did"
DIR=$1
if [ ! -d "$DIR/run" ]; then
    say "no cluster in $DIR: nothing to stop"
    exit 0
fi
DIR=$(cd "$DIR" && pwd -P)
export SLURM_CONF=$DIR/etc/slurm.conf

no_jobs() { [ -z "$(timeout 5 squeue -h)" ]; }

cancel_jobs() {
    local jobs
    running "$DIR/run/slurmctld.pid" slurmctld >/dev/null || return 0
    jobs=$(timeout 5 squeue -h -o %A 2>/dev/null | sort -u)
    [ -n "$jobs" ] || return 0
    # shellcheck disable=SC2086
    timeout 5 scancel $jobs
    wait_for 10 no_jobs || say "some jobs did not end in 10 s; they are killed"
}

# Kills what outlived its job: the daemons of this cluster's steps, known by their environment.
kill_steps() {
    local entry pid
    for entry in /proc/[0-9]*/exe; do
        case "$(readlink "$entry" 2>/dev/null)" in */slurmstepd | */slurmstepd-wlm) ;; *) continue ;; esac
        pid=${entry#/proc/}
        pid=${pid%/exe}
        if tr '\0' '\n' <"/proc/$pid/environ" 2>/dev/null | grep -qxF "SLURM_CONF=$SLURM_CONF"; then
            kill -9 "$pid" 2>/dev/null
        fi
    done
}

cancel_jobs
for file in "$DIR"/run/slurmd-*.pid; do [ ! -e "$file" ] || stop "$file" slurmd 10; done
kill_steps
stop "$DIR/run/slurmctld.pid" slurmctld 15
stop "$DIR/run/slurmdbd.pid" slurmdbd 15
stop "$DIR/run/mariadb.pid" mariadbd 30
stop "$DIR/run/munged.pid" munged 5
if [ "${2:-}" = --wipe ] && head -n 1 "$SLURM_CONF" 2>/dev/null | grep -qF 'written by up.sh'; then
    rm -rf "$DIR"/{run,log,munge,state,spool,dev,mysql,etc,env.sh}
    rmdir "$DIR" 2>/dev/null || say "kept $DIR, which holds other files"
fi
say "stopped"
