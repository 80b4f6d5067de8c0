#!/bin/sh
# Say in a sentence why an installation has failed, from what the installer has written to the file $1.
set -eu

if grep -qi 'ssl module.* is not available' "$1"; then
    echo "This Python cannot use TLS, because it has no module ssl. Run make clean, then make run PYTHON=... with another one. All that was said is in $1." >&2
elif grep -qiE 'error sending request|dns error|failed to (resolve|fetch|establish)|connection (refused|error|timed)|network is unreachable|NewConnectionError|name resolution|ProxyError|ConnectTimeout|from versions: none' "$1"; then
    echo "The package index cannot be reached. The first start needs the internet, later ones do not. All that was said is in $1." >&2
else
    echo "The installation has failed: $(grep -iE 'error|×|failed' "$1" | tail -n 1) All that was said is in $1." >&2
fi
