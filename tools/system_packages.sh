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
