#!/usr/bin/env bash
# Runs a command in this checkout's environment: launch/local.sh python -m jaxstyle.main ...
#
# The first call makes .venv with Python 3.12 or newer and installs jaxstyle into it; later calls
# start at once, and install again only when pyproject.toml has changed.
# JAXSTYLE_EXTRAS=test,cuda chooses the extras (default: test); PYTHON=... the interpreter.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv="$root/.venv"
extras=${JAXSTYLE_EXTRAS:-test}
stamp="$venv/.jaxstyle-installed"

if [[ $# -eq 0 ]]; then
    sed -n '2,6s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 2
fi

find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3.12 python3.13 python3.14 python3 python; do
        # .python-version counts only below its folder, so version managers are asked from there.
        if [[ -n $candidate ]] && (cd "$root" && "$candidate" -c \
            'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 12))') 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "error: jaxstyle needs Python 3.12 or newer with venv; get it with your package manager" \
        "('apt install python3.12-venv', 'brew install python@3.12', 'uv python install 3.12')," \
        "or set PYTHON=/path/to/python" >&2
    exit 1
}

wanted="$extras $(cksum <"$root/pyproject.toml")"
if [[ ! -f $stamp || $(<"$stamp") != "$wanted" ]]; then
    python=$(find_python)
    echo "installing jaxstyle[$extras] into $venv ..." >&2
    (cd "$root" && "$python" -m venv "$venv")
    "$venv/bin/python" -m pip install --quiet --editable "$root[$extras]"
    echo "$wanted" >"$stamp"
fi

export VIRTUAL_ENV="$venv" PATH="$venv/bin:$PATH"
exec "$@"
