# Starts what is not running; sourced by up.sh after configuration.sh. Descriptor 9 is up.sh's lock: no daemon keeps it.
# shellcheck shell=bash disable=SC2153

port_answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

require_free_port() {
    ! port_answers "$1" || die "port $1 is taken by another program; choose others with --port"
}

start_munge() {
    local key=$DIR/munge/munge.key
    [ -s "$key" ] || (umask 077 && mungekey --create --keyfile "$key") || die "mungekey cannot write $key"
    chmod 600 "$key"
    if ! running "$DIR/run/munged.pid" munged >/dev/null; then
        rm -f "$SOCKET" "$SOCKET.lock"
        munged --key-file="$key" --socket="$SOCKET" --pid-file="$DIR/run/munged.pid" --num-threads=2 \
            --log-file="$DIR/log/munged.log" --seed-file="$DIR/munge/munged.seed" 9>&- ||
            die_with_log "munged did not start" "$DIR/log/munged.log"
    fi
    wait_for 5 sh -c "munge -S '$SOCKET' -n | unmunge -S '$SOCKET'" ||
        die_with_log "munged gives no credentials on $SOCKET" "$DIR/log/munged.log"
}

# Makes an empty database. mariadb-install-db would need a package more, for reading configuration files.
create_database() {
    local tables=/usr/share/mysql/mysql
    [ -f "${tables}_system_tables.sql" ] || tables=/usr/share/mariadb/mariadb
    [ -f "${tables}_system_tables.sql" ] || die "MariaDB's *_system_tables.sql are in neither /usr/share/mysql nor mariadb"
    rm -rf "$DIR/mysql"
    mkdir -p "$DIR/mysql"
    {
        printf '%s\n' "create database if not exists mysql;" "use mysql;" "SET @auth_root_socket='root';"
        cat "${tables}_system_tables.sql" "${tables}_performance_tables.sql" "${tables}_system_tables_data.sql"
    } | sed -e '/@current_hostname/d' |
        mariadbd --no-defaults --user=root --bootstrap --datadir="$DIR/mysql" --log-warnings=0 \
            --enforce-storage-engine= --innodb-buffer-pool-size=32M --innodb-log-file-size=16M \
            --max-allowed-packet=8M --net-buffer-length=16K >"$DIR/log/mariadb-bootstrap.log" 2>&1 9>&- ||
        die_with_log "the accounting database cannot be made" "$DIR/log/mariadb-bootstrap.log"
    touch "$DIR/mysql/.ready"
}

start_database() {
    [ -e "$DIR/mysql/.ready" ] || create_database
    if ! running "$DIR/run/mariadb.pid" mariadbd >/dev/null; then
        require_free_port $((PORT + 2))
        put "$DIR/etc/users.sql" 600 <<END
CREATE DATABASE IF NOT EXISTS slurm_acct_db;
CREATE USER IF NOT EXISTS 'slurm'@'127.0.0.1' IDENTIFIED BY '$(cat "$DIR/etc/database.password")';
GRANT ALL ON slurm_acct_db.* TO 'slurm'@'127.0.0.1';
END
        setsid mariadbd --no-defaults --user=root --datadir="$DIR/mysql" --socket="$DIR/run/mariadb.sock" \
            --pid-file="$DIR/run/mariadb.pid" --bind-address=127.0.0.1 --port=$((PORT + 2)) --skip-name-resolve \
            --log-error="$DIR/log/mariadb.log" --innodb-buffer-pool-size=32M --innodb-log-file-size=16M \
            --innodb-lock-wait-timeout=900 --innodb-flush-log-at-trx-commit=0 --performance-schema=OFF \
            --max-connections=40 --init-file="$DIR/etc/users.sql" </dev/null >/dev/null 2>&1 9>&- &
    fi
    wait_for 30 port_answers $((PORT + 2)) || die_with_log "mariadbd does not answer" "$DIR/log/mariadb.log"
}

start_accounting() {
    start_database
    if ! running "$DIR/run/slurmdbd.pid" slurmdbd >/dev/null; then
        require_free_port $((PORT + 1))
        slurmdbd </dev/null >"$DIR/log/slurmdbd.start" 2>&1 9>&- ||
            die_with_log "slurmdbd did not start" "$DIR/log/slurmdbd.start" "$DIR/log/slurmdbd.log"
    fi
    wait_for 30 sacctmgr -n list cluster || die_with_log "slurmdbd does not answer" "$DIR/log/slurmdbd.log"
    if ! sacctmgr -n -P list cluster format=Cluster | grep -qx local; then
        sacctmgr -i add cluster local >"$DIR/log/sacctmgr.log" 2>&1 ||
            die_with_log "the cluster cannot be added to the accounts" "$DIR/log/sacctmgr.log"
    fi
}

start_controller() {
    if ! running "$DIR/run/slurmctld.pid" slurmctld >/dev/null; then
        require_free_port "$PORT"
        slurmctld </dev/null >"$DIR/log/slurmctld.start" 2>&1 9>&- ||
            die_with_log "slurmctld did not start" "$DIR/log/slurmctld.start" "$DIR/log/slurmctld.log"
    fi
    wait_for 20 scontrol ping || die_with_log "slurmctld does not answer" "$DIR/log/slurmctld.log"
}

# Every node has a host name and an /etc/hosts of its own where the kernel allows that, as on a real cluster.
start_nodes() {
    local number node apart=yes
    unshare -m -u true 2>/dev/null || apart=no
    if [ $apart = no ] && ! getent hosts node1 >/dev/null; then
        say "warning: no namespaces here, and node1 has no address: add the last line of $DIR/etc/hosts to /etc/hosts"
    fi
    for ((number = 1; number <= NODES; number++)); do
        node=node$number
        ! running "$DIR/run/slurmd-$node.pid" slurmd >/dev/null || continue
        mkdir -p "$DIR/spool/$node"
        require_free_port $((PORT + 2 + number))
        if [ $apart = yes ]; then
            unshare -m -u sh -c 'hostname "$1" && mount --bind "$2" /etc/hosts && exec slurmd -N "$1"' \
                _ "$node" "$DIR/etc/hosts"
        else
            slurmd -N "$node"
        fi </dev/null >"$DIR/log/slurmd-$node.start" 2>&1 9>&- ||
            die_with_log "slurmd of $node did not start" "$DIR/log/slurmd-$node.start" "$DIR/log/slurmd-$node.log"
    done
}

nodes_are_usable() {
    local usable
    usable=$(sinfo -h -N -o '%T' | grep -cE '^(idle|mixed|allocated|completing)$')
    [ "$usable" -ge "$NODES" ]
}

wait_for_nodes() {
    wait_for 8 nodes_are_usable && return
    scontrol update "nodename=$(node_list)" state=resume >/dev/null 2>&1 # as an earlier cluster left them
    wait_for 10 nodes_are_usable ||
        die_with_log "not usable: $(sinfo -h -N -o '%N is %T (%E);')" "$DIR"/log/slurmd-node*.log "$DIR/log/slurmctld.log"
}
