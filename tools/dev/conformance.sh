#!/usr/bin/env bash
# conformance.sh [kosoku's options]: a public WebSocket conformance suite (the Autobahn cases, as kosoku from PyPI runs them) against
# this server's echo path. Needs no Redis, Kafka or MySQL. The report stays in .run/conformance; the last line counts.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
T=$ROOT/tools/dev
DIR=$RUN/conformance
SUITE=kosoku==0.1.0
PORT=${REDRAIN_CONFORMANCE_PORT:-18480}
# Compression is not offered. Pings that overtake each other are answered once, with the last one: lws keeps one PONG to send.
EXCLUDED=(-x '12.*' -x '13.*' -x 2.10 -x 2.11)

"$T/build.sh" release redrain-server >&2
mkdir -p "$DIR"
[ -x "$DIR/venv/bin/kosoku" ] || {
    note "installing $SUITE"
    python3 -m venv "$DIR/venv"
    "$DIR/venv/bin/pip" install -q "$SUITE"
}
if [ ! -s "$DIR/keys.json" ]; then
    (umask 077 && printf '{"keys":[{"kid":"k1","alg":"HS256","k":"%s"}]}\n' \
        "$(head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n')" >"$DIR/keys.json")
fi
"$ROOT/build/release/server/redrain-server" --selftest-echo --set "server.port=$PORT" --set admin.port=0 --set server.workers=1 \
    --set server.allow_no_origin=true --set limits.connections_per_address=1000 --set "token.keys_file=$DIR/keys.json" \
    --set server.web_root= >"$DIR/server.log" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true' EXIT
for _ in $(seq 100); do
    (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null && break
    kill -0 "$server" 2>/dev/null || die "the server did not start: $DIR/server.log"
    sleep 0.1
done
rc=0
"$DIR/venv/bin/kosoku" -m fuzzingclient -o "$DIR/report" "${EXCLUDED[@]}" "$@" "ws://127.0.0.1:$PORT/echo" >"$DIR/log" 2>&1 || rc=$?
python3 - "$DIR/report/index.json" <<'PY' || rc=1
import collections, json, sys
agents = json.load(open(sys.argv[1]))
bad = []
total = collections.Counter()
for cases in agents.values():
    for case, result in cases.items():
        for what in ("behavior", "behaviorClose"):
            if result.get(what) not in ("OK", "NON-STRICT", "INFORMATIONAL"):
                bad.append(f"{case}: {what} {result.get(what)}")
        total[result.get("behavior")] += 1
by = collections.OrderedDict()
for line in sorted(bad):
    print(line)
print(", ".join(f"{n} {name}" for name, n in total.most_common()))
print(f"{sum(total.values()) - len({b.split(':')[0] for b in bad})} passed, {len({b.split(':')[0] for b in bad})} failed")
sys.exit(1 if bad else 0)
PY
exit $rc
