#!/bin/sh
# Makes .venv what uv.lock says, then sees to the Pulumi engine. Needs Python >= 3.11 and nothing else: uv comes from PyPI in the
# version and with the hashes of uv.lock. Instant when nothing changed. EXTRAS: the cloud SDKs to install (default: all that stacks use).
# Run by `make setup`; messages never name the hosts of a mirror or a proxy, which are this machine's own business.
set -eu
cd "$(dirname "$0")/.."

EXTRAS=${EXTRAS:-aws azure cloudflare gcp tencent}
VENV=.venv
STAMP=$VENV/.setup-done
WANTED="$(cat uv.lock pyproject.toml | cksum) $EXTRAS $(pwd -P)"

say() { printf '%s\n' "$*" >&2; }
fail() { say "setup: $*"; exit 1; }

# attempt WHAT COMMAND...: quiet when it works, one line when it does not.
UNREACHED='could not resolve|name resolution|name or service|dns error|failed to (fetch|download|connect)|error sending request'
UNREACHED="$UNREACHED|connection (refused|reset|broken|error)|network is unreachable|no route to host|timed out|ProxyError"
UNREACHED="$UNREACHED|no matching distribution|certificate verify failed|invalid peer certificate"
attempt() {
    what=$1; shift
    LOG=$(mktemp "${TMPDIR:-/tmp}/spillway-setup.XXXXXX")
    if "$@" >"$LOG" 2>&1; then
        rm -f "$LOG"
        return 0
    fi
    if grep -qiE "$UNREACHED" "$LOG"; then
        fail "$what: PyPI could not be reached (all of the output: $LOG)"
    fi
    fail "$what: $(grep -v '^ *$' "$LOG" | tail -n 1 | sed -E 's#[a-z+]+://[^ ]+#<address>#g') (all of the output: $LOG)"
}

suitable() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

# Prints a Python that is new enough and can make virtual environments. The ones named by version come first: `python3` of an
# older distribution is often too old while a newer one lies beside it.
choose_python() {
    bare=
    for python in ${PYTHON:-python3.13 python3.12 python3.11 python3.14 python3}; do
        suitable "$python" || continue
        if "$python" -c 'import venv, ensurepip' >/dev/null 2>&1; then
            printf '%s\n' "$python"
            return
        fi
        bare=$python
    done
    [ -z "$bare" ] || fail "$bare cannot make virtual environments (Debian, Ubuntu: apt install python3-venv)"
    if [ -n "${PYTHON:-}" ]; then
        fail "PYTHON=$PYTHON is not Python 3.11 or newer"
    fi
    fail "no Python 3.11 or newer on PATH (PYTHON=/path/to/python3 names one)"
}

# Prints uv as pip wants it: name, version and every hash of the lock.
uv_requirement() {
    "$VENV/bin/python" - <<'PYTHON'
import sys, tomllib
with open("uv.lock", "rb") as file:
    pinned = [package for package in tomllib.load(file)["package"] if package["name"] == "uv"]
if not pinned:
    sys.exit("uv.lock does not pin uv")
files = [*pinned[0].get("wheels", ()), *([pinned[0]["sdist"]] if "sdist" in pinned[0] else ())]
print(f"uv=={pinned[0]['version']}", *(f"--hash={file['hash']}" for file in files))
PYTHON
}

if [ "$(cat "$STAMP" 2>/dev/null)" != "$WANTED" ] || [ ! -x "$VENV/bin/spillway" ]; then
    # One that was made elsewhere (a moved checkout) or never finished has scripts that point nowhere.
    if ! suitable "$VENV/bin/python" || ! "$VENV/bin/python" -c 'import pip' >/dev/null 2>&1 ||
        ! grep -q " $(pwd -P)\$" "$STAMP" 2>/dev/null; then
        PYTHON=$(choose_python)
        say "Making $VENV with $("$PYTHON" --version) ..."
        attempt "making $VENV" "$PYTHON" -m venv --clear "$VENV"
    fi
    rm -f "$STAMP"
    say "Installing Python packages from uv.lock ..."
    uv_requirement >"$VENV/uv.txt" || fail "uv.lock does not pin uv"
    attempt "installing uv" "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --no-deps \
        --require-hashes --requirement "$VENV/uv.txt"
    set --
    for extra in $EXTRAS; do set -- "$@" --extra "$extra"; done
    # Bytecode now rather than at the first start: cold imports of a cloud SDK take seconds.
    attempt "installing the packages of uv.lock" env -u VIRTUAL_ENV UV_PROJECT_ENVIRONMENT="$VENV" UV_PYTHON_DOWNLOADS=never \
        "$VENV/bin/uv" sync --frozen --compile-bytecode --python "$VENV/bin/python" --no-progress "$@"
    # Our own as well: the program and the stand-in plugins start anew with every command.
    "$VENV/bin/python" -m compileall -qq infra images sandbox spillway cost || true # what does not compile says so when run
    printf '%s\n' "$WANTED" >"$STAMP"
fi

# Standard output is the line that says where the engine is; what happens on the way goes to standard error.
"$VENV/bin/spillway" engine install >/dev/null
