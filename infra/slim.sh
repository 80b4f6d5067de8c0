#!/bin/sh
# slim.sh FOLDER [PATTERN...]: make a function's folder ready for Lambda, by Python 3.13. What matches goes, and what
# is for tests and type checkers; the rest is compiled. Lambda's file system is read-only, so without the .pyc files
# every cold start would compile again; a .pyc that goes by the source's date would be stale after SAM's zip, which
# keeps no dates, so these are never checked.
set -eu
cd "$1"
shift
# shellcheck disable=SC2086 # they are patterns
for pattern; do rm -rf $pattern; done
find . -depth \( -name tests -o -name __pycache__ -o -name '*.pyi' -o -name '*.pxd' -o -name '*.h' -o -name bin \) -exec rm -rf {} +
python -m compileall -q -j 0 --invalidation-mode unchecked-hash .
