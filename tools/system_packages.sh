#!/bin/sh
# The tests use real servers and a real browser. As root on Debian they are installed here; elsewhere we say what is missing.
set -eu

missing=""
need() { # need PACKAGE FILE...: the package is missing if none of the files exists
    package=$1
    shift
    for file in "$@"; do
        [ -e "$file" ] && return 0
    done
    missing="$missing $package"
}

need chromium /usr/bin/chromium
need ffmpeg /usr/bin/ffmpeg
need postgresql /usr/lib/postgresql/*/bin/postgres
need clamav-daemon /usr/sbin/clamd # its services stay off where packages may start none, as in containers
need fonts-noto-cjk /usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc

# Of Prometheus the tests want the checker of rules alone, not the service that its package would start. Anybody may download it.
get_promtool() { # get_promtool FILE
    folder=$(mktemp -d)
    echo "Fetching promtool"
    [ "$(id -u)" != 0 ] || apt-get update -qq
    (cd "$folder" && apt-get download -qq prometheus 2>/dev/null) || return 1
    dpkg-deb --fsys-tarfile "$folder"/prometheus_*.deb | tar -x -O ./usr/bin/promtool >"$folder/promtool"
    chmod 755 "$folder/promtool"
    mv "$folder/promtool" "$1"
    rm -r "$folder"
}

if ! command -v promtool >/dev/null && [ ! -x .venv/bin/promtool ]; then
    if ! command -v apt-get >/dev/null || ! get_promtool .venv/bin/promtool; then
        echo "The tests need promtool, which comes with Prometheus" >&2
        exit 1
    fi
fi

[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing the system packages of the tests:$missing"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    # shellcheck disable=SC2086  # a list of words is meant
    apt-get install -y -qq --no-install-recommends $missing >/dev/null
    exit 0
fi
echo "The tests need these system packages:$missing" >&2
echo "On Debian: sudo apt-get install$missing" >&2
exit 1
