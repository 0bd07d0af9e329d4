#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Print a Python that really runs: $PYTHON if set, else a 3.10 (Lava needs it).
set -u

runs_310() {
    "$1" -c 'import sys, venv; sys.exit(sys.version_info[:2] != (3, 10))' 2>/dev/null
}

if [ -n "${PYTHON:-}" ]; then
    if "$PYTHON" -c 'import sys, venv; sys.exit(sys.version_info < (3, 10))' 2>/dev/null
    then
        command -v "$PYTHON"
        exit 0
    fi
    echo "PYTHON=$PYTHON: not a Python of 3.10 or newer that runs" >&2
    exit 1
fi

# A pyenv shim named python3.10 exists but fails unless that version is activated,
# so every candidate is run before it is believed.
for candidate in \
    "$(command -v python3.10)" \
    "$(command -v python3)" \
    "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.10*/bin/python3.10 \
    /usr/local/bin/python3.10 /usr/bin/python3.10 /opt/homebrew/bin/python3.10 \
    "$(uv python find 3.10 2>/dev/null)"
do
    if [ -n "$candidate" ] && runs_310 "$candidate"; then
        echo "$candidate"
        exit 0
    fi
done

if command -v uv >/dev/null && uv python install 3.10 >&2; then
    candidate=$(uv python find 3.10 2>/dev/null)
    if [ -n "$candidate" ] && runs_310 "$candidate"; then
        echo "$candidate"
        exit 0
    fi
fi

echo "no Python 3.10 found (Lava 0.10 needs it): install one, e.g. 'pyenv install 3.10' or 'uv python install 3.10', or set PYTHON=/path/to/python3.10" >&2
exit 1
