# What up.sh and down.sh share; sourced, not run.
# shellcheck shell=bash

readonly PACKAGES="slurm-wlm munge slurmdbd mariadb-server-core"
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL=C

say() { printf 'local_slurm: %s\n' "$*"; }

die() {
    printf 'local_slurm: %s\n' "$*" >&2
    exit 1
}

# Ends the script with the reason $1 and the end of each log that follows.
die_with_log() {
    local reason=$1 log
    shift
    for log in "$@"; do
        [ -s "$log" ] || continue
        printf -- '--- the end of %s\n' "$log" >&2
        tail -n 15 "$log" >&2
    done
    die "$reason"
}

# Prints the process that pid file $1 names, if it runs and its program is $2 (numbers are used again).
running() {
    local pid
    pid=$(cat "$1" 2>/dev/null) || return 1
    [[ $pid =~ ^[0-9]+$ ]] && is_alive "$pid" || return 1
    case "$(readlink "/proc/$pid/exe" 2>/dev/null)" in
        */"$2" | */"$2"-wlm) printf '%s' "$pid" ;;
        *) return 1 ;;
    esac
}

is_alive() {
    local state
    state=$(grep -s '^State:' "/proc/$1/status") || return 1
    [[ $state != *Z* ]]
}

# Tries the command that follows ten times a second, for $1 seconds at most.
wait_for() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.1
    done
}

# Stops the program $2 of pid file $1: politely, then, after $3 seconds, by force.
stop() {
    local pid tenths
    if pid=$(running "$1" "$2"); then
        kill "$pid" 2>/dev/null
        for ((tenths = 0; tenths < $3 * 20; tenths++)); do
            is_alive "$pid" || break
            sleep 0.05
        done
        is_alive "$pid" && kill -9 "$pid" 2>/dev/null
    fi
    rm -f "$1"
}
