#!/usr/bin/env bash
# Runs a command in this checkout's environment: launch/local.sh python -m jaxstyle.main ...
#
# The first call makes .venv with Python 3.12 or newer and installs jaxstyle into it; later calls
# start at once, and install again only when pyproject.toml has changed.
# JAXSTYLE_EXTRAS=test,cuda chooses the extras (default: those of the last call, at first test),
# JAXSTYLE_VENV=... another folder than .venv, PYTHON=... the interpreter, and
# JAXSTYLE_CONSTRAINTS=FILE the versions, as .ci/constraints.txt has them for CI.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=${JAXSTYLE_VENV:-"$root/.venv"}
stamp="$venv/.jaxstyle-installed"
last_extras=$(sed -n 1p "$stamp" 2>/dev/null || true)
extras=${JAXSTYLE_EXTRAS:-${last_extras:-test}}
constraints=${JAXSTYLE_CONSTRAINTS:-}

if [[ $# -eq 0 ]]; then
    sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
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

# The folder too: an environment that was moved along points to where it came from.
wanted="$extras
$root $(cksum <"$root/pyproject.toml")${constraints:+ $(cksum <"$constraints")}"
if [[ ! -f $stamp || $(<"$stamp") != "$wanted" ]]; then
    python=$(find_python)
    echo "installing jaxstyle[$extras] into $venv ..." >&2
    (cd "$root" && "$python" -m venv --clear "$venv")
    "$venv/bin/python" -m pip install --quiet --editable "$root[$extras]" \
        ${constraints:+"--constraint=$constraints"}
    echo "$wanted" >"$stamp"
fi

export VIRTUAL_ENV="$venv" PATH="$venv/bin:$PATH"
exec "$@"
