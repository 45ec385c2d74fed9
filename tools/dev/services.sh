#!/usr/bin/env bash
# Private Redis, MariaDB and a one-node Kafka on loopback ports, all under one run folder (REDRAIN_RUN, default .run).
#   services.sh up | down | wipe | status | env
#   services.sh start|stop|restart|kill9|pause|resume  redis|mariadb|kafka
# What REDIS_URL, MYSQL_URL or KAFKA_BOOTSTRAP already name is used as it is and never started, stopped or signalled.
# `up` writes the addresses to $REDRAIN_RUN/env (mode 0600). REDRAIN_BROKER=memory asks for the broker in memory.
# REDRAIN_KAFKA_SASL=1: the broker also listens with SASL_SSL (port kafka_sasl, user redrain, $REDRAIN_RUN/secrets/kafka, tls/ca.pem).
# For tests that hurt them: REDRAIN_APPENDFSYNC (always), REDRAIN_KAFKA_ADVERTISED (host:port of a proxy before the broker).
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

BIN=$RUN/bin
MEMBROKER=$BIN/redrain-membroker
# From a fixed id the node is formatted the same way each time; it names nothing outside this folder.
KAFKA_CLUSTER_ID=cmVkcmFpbi1wcml2YXRlMA

# The small broker program doubles as the check whether a broker serves; built here so that no preset is needed.
membroker_build() {
    local src=$ROOT/tools/membroker
    [ "$MEMBROKER" -nt "$src/membroker.c" ] && [ "$MEMBROKER" -nt "$src/control.c" ] && return 0
    mkdir -p "$BIN"
    # shellcheck disable=SC2046
    cc -std=c11 -D_GNU_SOURCE -O1 -pthread -o "$MEMBROKER.$$" "$src/membroker.c" "$src/control.c" $(pkg-config --cflags --libs rdkafka)
    mv "$MEMBROKER.$$" "$MEMBROKER"
}

secret() { # secret NAME: random, made once per run folder
    local file=$RUN/secrets/$1
    mkdir -p "$RUN/secrets"
    [ -s "$file" ] || (umask 077 && random_hex 16 >"$file")
    cat "$file"
}

# An authority and a certificate of 127.0.0.1 for the services that speak TLS, made once per run folder. server.pem is key and
# chain in one, as Kafka wants it.
tls_make() {
    local dir=$RUN/tls
    [ ! -s "$dir/server.pem" ] || return 0
    mkdir -p "$dir"
    (
        umask 077
        cd "$dir"
        printf 'subjectAltName=IP:127.0.0.1,DNS:localhost\n' >ext
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=redrain test authority" \
            -keyout ca.key -out ca.pem
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=127.0.0.1 -keyout server.key -out server.csr
        openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -set_serial "0x$(random_hex 8)" -days 30 -extfile ext \
            -out server.crt
        cat server.key server.crt ca.pem >"server.pem.$$"
        mv "server.pem.$$" server.pem
    ) >/dev/null 2>&1
}

# ---- redis ------------------------------------------------------------------------------------------------------

redis_url() { printf 'redis://:%s@127.0.0.1:%s/0\n' "$(secret redis)" "$(port redis)"; }

redis_ping() { [ "$(REDISCLI_AUTH=$(secret redis) redis-cli -h 127.0.0.1 -p "$(port redis)" ping 2>/dev/null)" = PONG ]; }

redis_start() {
    local dir=$RUN/redis
    mkdir -p "$dir"
    # By file: a password in the command line would show in the process list.
    (
        umask 077
        cat >"$dir/redis.conf" <<CONF
port $(port redis)
bind 127.0.0.1
requirepass $(secret redis)
dir $dir
save ""
appendonly yes
appendfsync ${REDRAIN_APPENDFSYNC:-always}
no-appendfsync-on-rewrite no
maxmemory-policy noeviction
maxclients 10000
CONF
    )
    daemon_start redis "$dir" redis-server "$dir/redis.conf"
    wait_until 30 redis redis redis_ping
}

# ---- mariadb ----------------------------------------------------------------------------------------------------

mysql_url() { printf 'mysql://redrain:%s@127.0.0.1:%s/redrain\n' "$(secret mysql)" "$(port mysql)"; }

mariadb_defaults() {
    (
        umask 077
        printf '[client]\nuser=redrain\npassword=%s\nhost=127.0.0.1\nport=%s\nprotocol=tcp\n' \
            "$(secret mysql)" "$(port mysql)" >"$RUN/mariadb/client.cnf"
    )
}

mariadb_ping() { mariadb-admin --defaults-file="$RUN/mariadb/client.cnf" --connect-timeout=2 ping 2>/dev/null | grep -q alive; }

mariadb_start() {
    local dir=$RUN/mariadb user
    local -a as=()
    user=$(id -un)
    [ "$(id -u)" != 0 ] || as=(--user=root)
    # A starting mariadbd removes what looks like left-over temporary tables from its tmpdir: never a shared one.
    mkdir -p "$dir/tmp" "$RUN/logs"
    if [ ! -f "$dir/.installed" ]; then
        rm -rf "$dir/data"
        mariadb-install-db --no-defaults --datadir="$dir/data" --tmpdir="$dir/tmp" --auth-root-authentication-method=socket \
            --auth-root-socket-user="$user" --skip-test-db "${as[@]}" >"$RUN/logs/mariadb-install.log" 2>&1 || {
            cat "$RUN/logs/mariadb-install.log" >&2
            return 1
        }
        touch "$dir/.installed"
    fi
    # The account of the tests and the demo: no SUPER, rights on databases with our name in theirs only.
    (
        umask 077
        cat >"$dir/init.sql" <<SQL
CREATE USER IF NOT EXISTS 'redrain'@'127.0.0.1' IDENTIFIED BY '$(secret mysql)';
GRANT ALL PRIVILEGES ON \`%redrain%\`.* TO 'redrain'@'127.0.0.1';
CREATE USER IF NOT EXISTS 'redrain_tls'@'127.0.0.1' IDENTIFIED BY '$(secret mysql)' REQUIRE SSL;
GRANT ALL PRIVILEGES ON \`%redrain%\`.* TO 'redrain_tls'@'127.0.0.1';
SQL
    )
    mariadb_defaults
    local -a tls=()
    ! tls_make || tls=(--ssl-ca="$RUN/tls/ca.pem" --ssl-cert="$RUN/tls/server.crt" --ssl-key="$RUN/tls/server.key")
    # The socket is named relative to the data folder: a path of more than 107 bytes cannot be bound.
    daemon_start mariadb "$dir" mariadbd --no-defaults "${as[@]}" --datadir="$dir/data" --tmpdir="$dir/tmp" --socket=s.sock \
        --pid-file="$dir/pid" --port="$(port mysql)" --bind-address=127.0.0.1 --init-file="$dir/init.sql" \
        --log-bin=binlog --binlog-format=ROW --server-id=1 --expire-logs-days=1 --max-binlog-size=256M \
        --transaction-isolation=READ-COMMITTED --innodb-flush-log-at-trx-commit=1 --sync-binlog=1 \
        --innodb-buffer-pool-size=128M --innodb-log-file-size=96M --performance-schema=OFF --skip-name-resolve \
        --character-set-server=utf8mb4 --max-connections=300 --skip-slave-start ${tls[@]+"${tls[@]}"}
    wait_until 60 mariadb mariadb mariadb_ping
}

# ---- kafka ------------------------------------------------------------------------------------------------------

# kafka_kind: what serves (of a running one: what it was started as), kafka, memory or external.
kafka_kind() {
    if ! own kafka; then
        echo external
    elif daemon_pid kafka >/dev/null && [ -s "$RUN/kafka/kind" ]; then
        cat "$RUN/kafka/kind"
    elif [ "${REDRAIN_BROKER:-}" != memory ] && [ -f "$KAFKA_LIBS/.complete" ] && have java; then
        echo kafka
    else
        echo memory
    fi
}

kafka_bootstrap() {
    case $1 in
    kafka) printf '127.0.0.1:%s\n' "$(port kafka)" ;;
    memory) cat "$RUN/kafka/memory.bootstrap" ;;
    esac
}

kafka_ping() {
    [ -n "$1" ] && "$MEMBROKER" --ping "$1" --timeout-ms 1000
}

kafka_java() {
    local heap=$1
    shift
    java -Xms"$heap" -Xmx320m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData -Djava.awt.headless=true \
        -Dlog4j.configuration="file:$RUN/kafka/log4j.properties" -cp "$KAFKA_LIBS/*" "$@"
}

kafka_config() {
    local dir=$RUN/kafka
    local sasl_listener='' sasl_protocol=''
    mkdir -p "$dir"
    if [ -n "${REDRAIN_KAFKA_SASL:-}" ]; then
        tls_make
        sasl_listener=",SASL_SSL://127.0.0.1:$(port kafka_sasl)"
        sasl_protocol=,SASL_SSL:SASL_SSL
    fi
    cat >"$dir/log4j.properties" <<CONF
log4j.rootLogger=WARN, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=[%d] %p %m (%c)%n
log4j.logger.kafka.server.KafkaRaftServer=INFO
CONF
    cat >"$dir/server.properties" <<CONF
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$(port kafka_controller)
listeners=PLAINTEXT://127.0.0.1:$(port kafka),CONTROLLER://127.0.0.1:$(port kafka_controller)$sasl_listener
advertised.listeners=PLAINTEXT://${REDRAIN_KAFKA_ADVERTISED:-127.0.0.1:$(port kafka)}$sasl_listener
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT$sasl_protocol
log.dirs=$dir/data
auto.create.topics.enable=false
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
group.initial.rebalance.delay.ms=0
unclean.leader.election.enable=false
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
log.retention.hours=168
log.segment.bytes=16777216
log.cleaner.dedupe.buffer.size=2097152
num.network.threads=2
num.io.threads=2
background.threads=2
CONF
    [ -z "$sasl_listener" ] || (
        umask 077
        cat >>"$dir/server.properties" <<CONF
ssl.keystore.type=PEM
ssl.keystore.location=$RUN/tls/server.pem
ssl.enabled.protocols=TLSv1.2,TLSv1.3
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.sasl_ssl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_redrain="$(secret kafka)";
listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
CONF
        chmod 600 "$dir/server.properties"
    )
}

kafka_start() {
    local dir=$RUN/kafka
    local -a users=()
    kafka_config
    if [ ! -f "$dir/data/meta.properties" ]; then
        mkdir -p "$RUN/logs"
        [ -z "${REDRAIN_KAFKA_SASL:-}" ] || users=(--add-scram "SCRAM-SHA-256=[name=redrain,password=$(secret kafka)]"
            --add-scram "SCRAM-SHA-512=[name=redrain,password=$(secret kafka)]")
        kafka_java 64m kafka.tools.StorageTool format -t "$KAFKA_CLUSTER_ID" -c "$dir/server.properties" \
            --ignore-formatted ${users[@]+"${users[@]}"} >"$RUN/logs/kafka-format.log" 2>&1 || {
            cat "$RUN/logs/kafka-format.log" >&2
            return 1
        }
    fi
    daemon_start kafka "$dir" java -Xms128m -Xmx320m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData \
        -Djava.awt.headless=true -Dlog4j.configuration="file:$dir/log4j.properties" -cp "$KAFKA_LIBS/*" \
        kafka.Kafka "$dir/server.properties"
    wait_until 90 kafka kafka kafka_ping "$(kafka_bootstrap kafka)"
}

memory_start() {
    mkdir -p "$RUN/kafka"
    rm -f "$RUN/kafka/memory.bootstrap"
    daemon_start kafka "$RUN/kafka" "$MEMBROKER" --topic receive_red_packet:4 \
        --bootstrap-file "$RUN/kafka/memory.bootstrap"
    wait_until 10 "the broker in memory" kafka test -s "$RUN/kafka/memory.bootstrap"
}

memory_warning() {
    frame "NO KAFKA: a small broker of our own, IN MEMORY, stands in for it (broker: \"memory\")." \
        "What it holds is lost when it stops: durability is NOT shown by this run, and the" \
        "tests that need a durable broker are skipped. Real Kafka needs java and its jars" \
        "(tools/dev/deps.sh kafka)."
}

# ---- all three --------------------------------------------------------------------------------------------------

# own NAME: is this service one of ours? `up` notes which were named from outside; the other commands keep to that
# note, since a program started with our addresses in its environment may call them.
own() {
    case $1 in
    redis | mariadb | kafka) ;;
    *) die "no service named '$1' (redis, mariadb, kafka)" ;;
    esac
    ! grep -qsx "$1" "$RUN/external"
}

note_external() {
    : >"$RUN/external"
    [ -z "${REDIS_URL:-}" ] || echo redis >>"$RUN/external"
    [ -z "${MYSQL_URL:-}" ] || echo mariadb >>"$RUN/external"
    [ -z "${KAFKA_BOOTSTRAP:-}" ] || echo kafka >>"$RUN/external"
}

start() {
    own "$1" || return 0
    daemon_pid "$1" >/dev/null && return 0
    case $1 in
    redis) redis_start ;;
    mariadb) mariadb_start ;;
    kafka)
        membroker_build
        local kind
        kind=$(kafka_kind)
        mkdir -p "$RUN/kafka"
        echo "$kind" >"$RUN/kafka/kind"
        case $kind in
        kafka) kafka_start ;;
        memory) memory_start ;;
        esac
        ;;
    esac
}

write_env() {
    local kind redis mysql bootstrap
    kind=$(kafka_kind)
    redis=${REDIS_URL:-$(redis_url)}
    mysql=${MYSQL_URL:-$(mysql_url)}
    bootstrap=${KAFKA_BOOTSTRAP:-$(kafka_bootstrap "$kind")}
    (
        umask 077
        printf 'REDIS_URL=%q\nKAFKA_BOOTSTRAP=%q\nMYSQL_URL=%q\nREDRAIN_BROKER=%q\n' \
            "$redis" "$bootstrap" "$mysql" "$kind" >"$RUN/env.$$"
    )
    mv "$RUN/env.$$" "$RUN/env"
}

up() {
    local name failed=
    local -A jobs=()
    mkdir -p "$RUN"
    exec 9>"$RUN/lock"
    flock 9
    note_external
    membroker_build
    # All ports first: three starters at once would race for the file.
    for name in redis mysql kafka kafka_controller; do port "$name" >/dev/null; done
    for name in redis mysql; do secret "$name" >/dev/null; done
    tls_make || true
    for name in redis mariadb kafka; do
        start "$name" &
        jobs[$name]=$!
    done
    for name in redis mariadb kafka; do wait "${jobs[$name]}" || failed+=" $name"; done
    [ -z "$failed" ] || die "did not start:$failed"
    write_env
    [ "$(kafka_kind)" != memory ] || memory_warning
    exec 9>&-
}

down() {
    local name
    local -a jobs=()
    # Kafka first and all at once: it is the slowest.
    for name in kafka mariadb redis; do
        daemon_stop "$name" 20 &
        jobs+=($!)
    done
    wait "${jobs[@]}"
    rm -f "$RUN/env"
}

status() {
    local name pid rc=0
    for name in redis mariadb kafka; do
        if ! own "$name"; then
            printf '%-8s external\n' "$name"
        elif pid=$(daemon_pid "$name"); then
            case $name in
            redis) redis_ping ;;
            mariadb) mariadb_ping ;;
            kafka) kafka_ping "$(kafka_bootstrap "$(kafka_kind)")" ;;
            esac && printf '%-8s up       pid %s\n' "$name" "$pid" || {
                printf '%-8s SILENT   pid %s\n' "$name" "$pid"
                rc=1
            }
        else
            printf '%-8s down\n' "$name"
            rc=1
        fi
    done
    return $rc
}

main() {
    local cmd=${1:-} name=${2:-}
    case $cmd in
    up | down | status) "$cmd" ;;
    wipe) # only after down: the data goes, the ports stay
        down
        rm -rf "$RUN/redis" "$RUN/mariadb" "$RUN/kafka" "$RUN/logs" "$RUN/external"
        ;;
    env) cat "$RUN/env" ;;
    start | stop | restart | kill9 | pause | resume)
        [ -n "$name" ] || die "services.sh $cmd redis|mariadb|kafka"
        own "$name" || die "$name is not ours (set from outside): not touched"
        case $cmd in
        start) start "$name" ;;
        stop) daemon_stop "$name" 20 ;;
        restart)
            daemon_stop "$name" 20
            start "$name"
            ;;
        kill9) daemon_signal KILL "$name" && daemon_stop "$name" ;;
        pause) daemon_signal STOP "$name" ;;
        resume) daemon_signal CONT "$name" ;;
        esac
        ;;
    *)
        sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
        exit 2
        ;;
    esac
}

main "$@"
