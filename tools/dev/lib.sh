# shellcheck shell=bash
# Shared by the scripts of tools/dev: paths, messages, daemons with pid files. Sourced, never run.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
RUN=${REDRAIN_RUN:-$ROOT/.run}
CACHE=${REDRAIN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/redrain}
KAFKA_VERSION=3.9.1
KAFKA_LIBS=$CACHE/kafka-$KAFKA_VERSION
JOBS=${REDRAIN_JOBS:-$(nproc 2>/dev/null || echo 2)}

if [ -t 2 ] && [ -z "${NO_COLOR:-}" ]; then
    C_BOLD=$'\e[1m' C_RED=$'\e[31m' C_YEL=$'\e[33m' C_DIM=$'\e[2m' C_OFF=$'\e[0m'
else
    C_BOLD='' C_RED='' C_YEL='' C_DIM='' C_OFF=''
fi

say() { printf '%s%s%s\n' "$C_BOLD" "$*" "$C_OFF" >&2; }
note() { printf '%s%s%s\n' "$C_DIM" "$*" "$C_OFF" >&2; }
warn() { printf '%swarning: %s%s\n' "$C_YEL" "$*" "$C_OFF" >&2; }
die() {
    printf '%serror: %s%s\n' "$C_RED" "$*" "$C_OFF" >&2
    exit 1
}

# frame LINE…: a warning that nobody overlooks.
frame() {
    {
        printf '%s%s\n' "$C_YEL" '################################################################################'
        printf '##  %s\n' "$@"
        printf '%s%s\n' '################################################################################' "$C_OFF"
    } >&2
}

have() { command -v "$1" >/dev/null 2>&1; }

# proc_start PID: the kernel's start time of a process, which with the pid names it for good (pids are reused).
proc_start() {
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    stat=${stat##*) }
    # shellcheck disable=SC2086
    set -- $stat
    [ "$1" != Z ] || return 1
    printf '%s\n' "${20}"
}

# daemon_pid NAME: the pid of the daemon that this run folder started, if that very process still lives.
daemon_pid() {
    local pid start
    { read -r pid start <"$RUN/pids/$1"; } 2>/dev/null || return 1
    [ -n "$pid" ] && [ "$(proc_start "$pid" || true)" = "$start" ] || return 1
    printf '%s\n' "$pid"
}

# daemon_start NAME DIR CMD…: CMD in its own session (Ctrl-C in the terminal does not reach it), output to logs/NAME.log.
daemon_start() {
    local name=$1 dir=$2 pid
    shift 2
    mkdir -p "$RUN/pids" "$RUN/logs"
    (cd "$dir" && exec setsid "$@") </dev/null >>"$RUN/logs/$name.log" 2>&1 9>&- &
    pid=$!
    printf '%s %s\n' "$pid" "$(proc_start "$pid" || echo gone)" >"$RUN/pids/$name"
    disown "$pid" 2>/dev/null || true
}

# daemon_signal SIG NAME
daemon_signal() {
    local pid
    pid=$(daemon_pid "$2") || return 1
    kill "-$1" "$pid"
}

# group_left NAME: the process group of a daemon of ours whose leader is gone. While a group lives the kernel gives
# its number to nobody else.
group_left() {
    local pid _ states
    { read -r pid _ <"$RUN/pids/$1"; } 2>/dev/null || return 1
    [ -n "$pid" ] && ! proc_start "$pid" >/dev/null && kill -0 -- "-$pid" 2>/dev/null || return 1
    # Zombies do not count: whoever adopted them reaps them.
    states=$(ps -o stat= -g "$pid" 2>/dev/null) || return 1
    [[ $states =~ (^|$'\n')[^Z] ]] || return 1
    printf '%s\n' "$pid"
}

# daemon_stop NAME [SECONDS]: TERM, wait, then KILL; only ever what this run folder started.
daemon_stop() {
    local name=$1 left=$((${2:-15} * 20)) pid
    if pid=$(daemon_pid "$name"); then
        kill -CONT "$pid" 2>/dev/null || true
        kill -TERM "$pid" 2>/dev/null || true
        while daemon_pid "$name" >/dev/null && [ "$left" -gt 0 ]; do
            sleep 0.05
            left=$((left - 1))
        done
        if pid=$(daemon_pid "$name"); then
            warn "$name (pid $pid) did not stop in time: killed"
            kill -KILL -- "-$pid" 2>/dev/null || true
            while daemon_pid "$name" >/dev/null; do sleep 0.05; done
        fi
    fi
    if pid=$(group_left "$name"); then
        warn "$name left processes behind (group $pid): killed"
        kill -KILL -- "-$pid" 2>/dev/null || true
    fi
    rm -f "$RUN/pids/$name"
}

# wait_until SECONDS WHAT DAEMON CMD…: polls CMD; ends early, with the log's tail, when DAEMON dies.
wait_until() {
    local left=$(($1 * 20)) what=$2 daemon=$3
    shift 3
    until "$@" >/dev/null 2>&1; do
        left=$((left - 1))
        if [ "$left" -le 0 ] || ! daemon_pid "$daemon" >/dev/null; then
            tail -n 15 "$RUN/logs/$daemon.log" >&2 || true
            warn "$what did not become ready (log: $RUN/logs/$daemon.log)"
            return 1
        fi
        sleep 0.05
    done
}

# Thousands of sockets: the soft limit of a login shell is 1024. Not more than is of use: tables are sized by it.
raise_nofile() {
    local hard want=65536
    hard=$(ulimit -Hn)
    [ "$hard" = unlimited ] || [ "$hard" -ge "$want" ] || want=$hard
    ulimit -Sn "$want" 2>/dev/null || true
}

random_hex() { od -An -N"$1" -tx1 /dev/urandom | tr -d ' \n'; }

# port NAME: a loopback port, chosen once per run folder and kept. Below the ephemeral range, so that no client's
# outgoing socket can sit on it while a service restarts.
port() {
    local name=$1 p tries=0
    mkdir -p "$RUN"
    [ -f "$RUN/ports" ] || : >"$RUN/ports"
    p=$(sed -n "s/^$name=//p" "$RUN/ports" | tail -n 1)
    if [ -z "$p" ]; then
        while :; do
            p=$((15000 + (RANDOM * 32768 + RANDOM) % 17000))
            tries=$((tries + 1))
            [ "$tries" -lt 200 ] || die "no free loopback port found"
            grep -qs "=$p\$" "$RUN/ports" && continue
            (exec 3<>"/dev/tcp/127.0.0.1/$p") 2>/dev/null || break
        done
        printf '%s=%s\n' "$name" "$p" >>"$RUN/ports"
    fi
    printf '%s\n' "$p"
}
