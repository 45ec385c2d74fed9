#!/usr/bin/env bash
# The whole thing, running: services, schema and topic, redrain-server (2 workers), redrain-settler.
#   stack.sh up BUILD_DIR | down | status | urls | logs [NAME]
# Everything lives under REDRAIN_RUN (default .run); down stops what up started there and nothing else.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

SERVICES=$ROOT/tools/dev/services.sh
WORKERS=${REDRAIN_WORKERS:-2}

# program NAME: the path of one of our programs in the build folder.
program() {
    local found
    found=$(find "$BUILD" -name "$1" -type f -perm -u+x -print -quit 2>/dev/null)
    [ -n "$found" ] || die "$1 is not built in $BUILD"
    printf '%s\n' "$found"
}

write_config() {
    local public admin
    public=$(port server)
    admin=$(port admin)
    node "$ROOT/tools/dev/tokens.mjs" keys "$RUN/keys.json"
    [ -s "$RUN/admin.token" ] || (umask 077 && random_hex 24 >"$RUN/admin.token")
    (
        umask 077
        cat >"$RUN/redrain.conf.$$" <<CONF
# Made by ./dev for this folder's private stack.
[server]
workers = $WORKERS
host = 127.0.0.1
port = $public
origins = http://127.0.0.1:$public,http://localhost:$public
web_root = $ROOT/web-demo

# Nothing balances over this stack, and nobody wants to wait for its end.
[drain]
ready_wait_ms = 0
spread_ms = 500
wait_rain_ms = 0
timeout_ms = 10000

[admin]
host = 127.0.0.1
port = $admin
token_file = $RUN/admin.token

[token]
keys_file = $RUN/keys.json
audience = redrain

[redis]
url = $REDIS_URL

[kafka]
bootstrap = $KAFKA_BOOTSTRAP
topic = receive_red_packet
partitions = 4
replication = 1

[mysql]
url = $MYSQL_URL

[risk]
# The simulated crowd taps like a clock.
hold_steady_pct = 0
deny_grabs_per_min = 0

[log]
level = info
CONF
    )
    mv "$RUN/redrain.conf.$$" "$RUN/redrain.conf"
}

admin_ready() { curl -fsS -m 2 -o /dev/null "http://127.0.0.1:$(port admin)/readyz"; }

up() {
    local server settler ctl
    BUILD=${1:?build folder}
    server=$(program redrain-server)
    settler=$(program redrain-settler)
    ctl=$(program redrainctl)
    "$SERVICES" up
    # shellcheck disable=SC1091
    . "$RUN/env"
    write_config
    ln -sfn "$ctl" "$RUN/redrainctl"
    raise_nofile
    "$ctl" --config "$RUN/redrain.conf" migrate >>"$RUN/logs/migrate.log" 2>&1 || {
        tail -n 20 "$RUN/logs/migrate.log" >&2
        die "redrainctl migrate failed"
    }
    daemon_pid settler >/dev/null || daemon_start settler "$RUN" "$settler" --config "$RUN/redrain.conf"
    daemon_pid server >/dev/null || daemon_start server "$RUN" "$server" --config "$RUN/redrain.conf"
    wait_until 30 redrain-server server admin_ready || die "redrain-server is not ready"
    daemon_pid settler >/dev/null || {
        tail -n 20 "$RUN/logs/settler.log" >&2
        die "redrain-settler ended"
    }
}

down() {
    daemon_stop server 20 &
    daemon_stop settler 20 &
    wait
    "$SERVICES" down
}

status() {
    local name pid rc=0
    "$SERVICES" status || rc=1
    for name in server settler; do
        if pid=$(daemon_pid "$name"); then
            printf '%-8s up       pid %s\n' "$name" "$pid"
        else
            printf '%-8s down\n' "$name"
            rc=1
        fi
    done
    if daemon_pid server >/dev/null; then
        admin_ready && printf 'ready    http://127.0.0.1:%s/readyz\n' "$(port admin)" || rc=1
    fi
    return $rc
}

urls() {
    local room=${1:-demo} base
    base="http://127.0.0.1:$(port server)"
    token() { node "$ROOT/tools/dev/tokens.mjs" token "$RUN/keys.json" "$@"; }
    printf 'viewer   %s/?room=%s#token=%s\n' "$base" "$room" "$(token 1001 viewer "$room" 观众)"
    printf 'console  %s/console.html?room=%s#token=%s\n' "$base" "$room" "$(token 9001 anchor "$room" 主播)"
    printf 'admin    http://127.0.0.1:%s/metrics   (token: %s)\n' "$(port admin)" "$RUN/admin.token"
    printf 'ctl      %s --config %s …\n' "$RUN/redrainctl" "$RUN/redrain.conf"
}

logs() {
    local -a files=("$RUN"/logs/*.log)
    [ $# = 0 ] || files=("$RUN/logs/$1.log")
    [ -f "${files[0]}" ] || die "no log ${1:-} in $RUN/logs"
    if [ -t 1 ]; then exec tail -n 40 -F "${files[@]}"; else tail -n 200 "${files[@]}"; fi
}

cmd=${1:-}
shift || true
case $cmd in
up | down | status | urls | logs) "$cmd" "$@" ;;
*) die "stack.sh up BUILD_DIR | down | status | urls | logs [NAME]" ;;
esac
