#!/usr/bin/env bash
# Installs what is missing, and only that: distribution packages, Kafka's jars, npm modules.
#   deps.sh run     what ./dev demo and ./dev up need
#   deps.sh test    also what the tests and checks need (Chromium, a Chinese font, clang-format, clang-tidy, gcovr)
#   deps.sh kafka   only the jars; exit 1 where they cannot be had
# Debian 12 and 13, Ubuntu 24.04, as root or with sudo. System services are neither started nor touched.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# One row per need; alternatives (names differ between releases) separated by '|', the first one there is taken.
RUN_PACKAGES='build-essential cmake ninja-build pkg-config ccache curl ca-certificates procps python3
    libwebsockets-dev libwebsockets-evlib-uv libuv1-dev libhiredis-dev librdkafka-dev libmsgpack-c-dev|libmsgpack-dev
    libmariadb-dev libssl-dev libjansson-dev libsodium-dev libinih-dev libxxhash-dev uthash-dev libcurl4-openssl-dev
    libcmocka-dev liblua5.1-0-dev redis-server mariadb-server-core mariadb-client'
TEST_PACKAGES='clang clang-format clang-tidy gcovr fonts-wqy-zenhei spin'

APT_UPDATED=

sudo_() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif have sudo; then
        sudo "$@"
    else
        die "not root and no sudo; run as root: $*"
    fi
}

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

apt_update() {
    [ -z "$APT_UPDATED" ] || return 0
    APT_UPDATED=1
    say "apt-get update"
    sudo_ env DEBIAN_FRONTEND=noninteractive apt-get -qq update
}

available() {
    local policy
    policy=$(LC_ALL=C apt-cache policy "$1" 2>/dev/null)
    [[ $policy =~ 'Candidate: '[^\(] ]]
}

# choose A|B: the installed one, else the first that apt knows.
choose() {
    local alt
    local -a alts
    IFS='|' read -ra alts <<<"$1"
    for alt in "${alts[@]}"; do
        if installed "$alt"; then
            printf '%s\n' "$alt"
            return
        fi
    done
    for alt in "${alts[@]}"; do
        if available "$alt"; then
            printf '%s\n' "$alt"
            return
        fi
    done
    printf '%s\n' "${alts[0]}"
}

# apt_install PKG…: without starting the services that some packages bring (policy-rc.d, taken away again).
apt_install() {
    local guard=/usr/sbin/policy-rc.d ours= rc=0
    say "installing: $*"
    if [ ! -e "$guard" ] && [ -d /usr/sbin ]; then
        printf '#!/bin/sh\nexit 101\n' | sudo_ tee "$guard" >/dev/null && sudo_ chmod 755 "$guard" && ours=1
    fi
    sudo_ env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        -o Dpkg::Use-Pty=0 "$@" >&2 || rc=$?
    [ -z "$ours" ] || sudo_ rm -f "$guard"
    [ "$rc" = 0 ] || die "apt-get install failed"
}

# missing_of SPEC…: the specs of which no alternative is installed.
missing_of() {
    local spec alt found
    for spec in "$@"; do
        found=
        for alt in ${spec//|/ }; do
            installed "$alt" && found=1 && break
        done
        [ -n "$found" ] || printf '%s\n' "$spec"
    done
}

packages() {
    local -a want missing names=()
    local spec major
    # shellcheck disable=SC2206
    want=($RUN_PACKAGES)
    # shellcheck disable=SC2206
    [ "$1" != test ] || want+=($TEST_PACKAGES)
    # A machine may have these from elsewhere (the npm package conflicts with a node from another source).
    have node || want+=(nodejs)
    have npm || want+=(npm)
    have java || want+=('openjdk-17-jre-headless|openjdk-21-jre-headless')
    have mvn || kafka_complete || want+=(maven)
    if [ "$1" = test ]; then
        if ! chromium_path >/dev/null && grep -qs '^ID=debian' /etc/os-release; then want+=(chromium); fi
        if have clang; then
            major=$(clang -dumpversion | cut -d. -f1)
            # Before clang 14 the sanitizer runtimes were in another package.
            [ "$major" -lt 14 ] || want+=("libclang-rt-$major-dev")
        fi
    fi
    mapfile -t missing < <(missing_of "${want[@]}")
    [ "${#missing[@]}" -gt 0 ] || return 0
    have apt-get || die "missing: ${missing[*]} (no apt-get here; Debian 12 or 13 or Ubuntu 24.04 are supported)"
    available build-essential && available librdkafka-dev || apt_update
    for spec in "${missing[@]}"; do names+=("$(choose "$spec")"); done
    for spec in "${names[@]}"; do available "$spec" || apt_update; done
    names=()
    for spec in "${missing[@]}"; do names+=("$(choose "$spec")"); done
    apt_install "${names[@]}"
    # clang has just come: its sanitizer runtime is a package of its own, named after the version.
    [ "$1" != test ] || packages "$1"
}

chromium_path() {
    local name
    for name in chromium google-chrome google-chrome-stable chromium-browser; do
        # Ubuntu's chromium-browser is a stub that asks for a snap.
        if have "$name" && "$name" --version >/dev/null 2>&1; then
            command -v "$name"
            return
        fi
    done
    return 1
}

kafka_complete() { [ -f "$KAFKA_LIBS/.complete" ]; }

# The jars through Maven, into a folder of this attempt; compared with the pinned digests; moved into place; marked last.
kafka_jars() {
    local sums=$ROOT/tools/dev/kafka/SHA256SUMS tmp
    ! kafka_complete || return 0
    mkdir -p "$CACHE"
    exec 8>"$CACHE/kafka.lock"
    flock 8
    ! kafka_complete || return 0
    have java || { warn "no java"; return 1; }
    have mvn || { warn "no mvn"; return 1; }
    say "Kafka $KAFKA_VERSION: fetching its jars (once, into $KAFKA_LIBS)"
    tmp=$(mktemp -d "$CACHE/kafka-tmp.XXXXXX")
    if timeout 600 mvn -q -B -C -f "$ROOT/tools/dev/kafka/pom.xml" -DoutputDirectory="$tmp" \
        org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies >&2 </dev/null &&
        (cd "$tmp" && sha256sum --quiet --strict -c "$sums" >&2); then
        rm -rf "$KAFKA_LIBS"
        mv "$tmp" "$KAFKA_LIBS"
        date -u +%FT%TZ >"$KAFKA_LIBS/.complete"
        exec 8>&-
        return 0
    fi
    rm -rf "$tmp"
    exec 8>&-
    return 1
}

npm_modules() {
    local dir=$ROOT/tests stamp=$ROOT/tests/node_modules/.redrain-lock log
    cmp -s "$dir/package-lock.json" "$stamp" && return 0
    say "npm ci (tests/)"
    log=$(mktemp)
    if ! (cd "$dir" && npm ci --no-audit --no-fund --prefer-offline >"$log" 2>&1 </dev/null); then
        cat "$log" >&2
        rm -f "$log"
        die "npm ci failed in tests/"
    fi
    rm -f "$log"
    cp "$dir/package-lock.json" "$stamp"
}

node_version() {
    local v
    v=$(node -p 'process.versions.node.split(".").slice(0, 2).map(Number).join(" ")')
    # shellcheck disable=SC2086
    set -- $v
    [ "$1" -gt 18 ] || { [ "$1" = 18 ] && [ "$2" -ge 19 ]; } || die "node >= 18.19 needed, found $(node --version)"
}

main() {
    case ${1:-run} in
    kafka) kafka_jars ;;
    run | test)
        mkdir -p "$CACHE"
        packages "${1:-run}"
        node_version
        npm_modules
        if [ -z "${KAFKA_BOOTSTRAP:-}" ] && [ "${REDRAIN_BROKER:-}" != memory ]; then
            kafka_jars || warn "Kafka's jars cannot be had here"
        fi
        if [ "${1:-run}" = test ] && ! chromium_path >/dev/null; then
            frame "No Chromium on this machine: the end-to-end tests will be SKIPPED." \
                "Install 'chromium' (Debian) or Google Chrome so that it is on PATH."
        fi
        ;;
    chromium) chromium_path ;;
    *) die "deps.sh run|test|kafka|chromium" ;;
    esac
}

main "$@"
