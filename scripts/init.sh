#!/usr/bin/env bash
# Set the gateway up, or bring it up to date: environment, locked dependencies, secrets, database,
# first admin key (printed once). Safe to repeat; quick when there is nothing to do.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/settings.sh"

usage() {
    cat <<'TEXT'
Usage: scripts/init.sh [--mysql URL] [--redis URL] [--dev]
  --mysql URL  use this MySQL or MariaDB database (mysql+pymysql://user:password@host:3306/name)
  --redis URL  share state over this Redis (redis://:password@host:6379/0)
               Both are remembered in settings.env in the data folder; '' forgets one.
  --dev        install what the tests and checks need, too
Environment: AIGATEWAY_DATA_DIR (./data), PYTHON (an interpreter to use, 3.11 or newer)
TEXT
}

say() { printf 'init: %s\n' "$*" >&2; }
die() {
    say "$*"
    exit 1
}

main() {
    local lock=requirements.lock given=() pair
    while [ $# -gt 0 ]; do
        case $1 in
            --mysql) given+=("AIGATEWAY_DATABASE__URL=${2?--mysql needs a URL}") && shift 2 ;;
            --redis) given+=("AIGATEWAY_REDIS__URL=${2?--redis needs a URL}") && shift 2 ;;
            --dev) lock=requirements-dev.lock && shift ;;
            -h | --help) usage && exit 0 ;;
            *) usage >&2 && die "unknown argument: $1" ;;
        esac
    done

    make_environment "$lock"
    # One that exists keeps its mode: it may be more than ours. What we put in it is private anyway.
    [ -d "$AIGATEWAY_DATA_DIR" ] || (umask 077 && mkdir -p "$AIGATEWAY_DATA_DIR") ||
        die "the data folder cannot be made there; AIGATEWAY_DATA_DIR names another."
    for pair in ${given[@]+"${given[@]}"}; do
        export "${pair?}"
    done
    "$root/.venv/bin/aigateway" init
    # Only now: an address that does not work is not worth remembering.
    [ ${#given[@]} -eq 0 ] || remember "${given[@]}"
}

# --- environment ---

make_environment() { # make_environment LOCK
    local venv=$root/.venv
    local done_dir=$venv/installed
    # Two at once (serve.sh and test.sh, say) must not install over each other.
    if command -v flock >/dev/null; then
        exec 9<"$root"
        flock 9
    fi
    if ! same_place "$done_dir" || ! "$venv/bin/python" -c '' 2>/dev/null; then
        create_venv "$venv"
    fi
    if ! is_installed "$done_dir" "$1"; then
        install_all "$venv" "$1"
    fi
    exec 9<&-
}

# A virtual environment holds its own path: one that was moved or copied is made anew.
same_place() { [ -f "$1/place" ] && [ "$(<"$1/place")" = "$root" ]; }

create_venv() { # create_venv DIRECTORY
    local python
    [ -w "$root" ] || die "$root must be writable by the user who sets up: it will hold .venv."
    python=$(find_python) || die "Python 3.11 or newer is needed and was not found" \
        "(Debian, Ubuntu: apt-get install python3 python3-venv). PYTHON=/path/to/python3 names one."
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        die "$python cannot make virtual environments (Debian, Ubuntu: apt-get install python3-venv)."
    say "making .venv with $("$python" -V)"
    "$python" -m venv --clear "$1"
    mkdir -p "$1/installed"
    printf '%s\n' "$root" >"$1/installed/place"
}

find_python() {
    local name names=(python3 python3.14 python3.13 python3.12 python3.11)
    [ -z "${PYTHON:-}" ] || names=("$PYTHON")
    for name in "${names[@]}"; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    return 1
}

# The files as they were when they were installed lie beside the packages; the development set
# contains the run-time set.
is_installed() { # is_installed DONE_DIR LOCK
    cmp -s "$root/pyproject.toml" "$1/pyproject.toml" &&
        cmp -s "$root/requirements.lock" "$1/requirements.lock" &&
        cmp -s "$root/$2" "$1/$2"
}

install_all() { # install_all VENV LOCK
    local pip=("$1/bin/python" -m pip -qq --disable-pip-version-check --no-input)
    local done_dir=$1/installed
    # Once for development, it stays so until the environment is removed.
    local lock=$2
    [ ! -f "$done_dir/requirements-dev.lock" ] || lock=requirements-dev.lock
    say "installing $lock (the first time takes about a minute)"
    rm -f "$done_dir/pyproject.toml"
    "${pip[@]}" install --require-hashes --requirement "$root/$lock"
    "${pip[@]}" install --no-deps --no-build-isolation --editable "$root"
    local file
    for file in requirements.lock "$lock" pyproject.toml; do
        cp "$root/$file" "$done_dir/$file"
    done
}

# --- settings ---

# For aigateway/remembered.py: one NAME=VALUE a line, taken as it is, never executed.
remember() { # remember NAME=VALUE... : in place of what the file said; an empty value forgets
    local pair settings_file=$AIGATEWAY_DATA_DIR/settings.env
    # Addresses hold passwords: the file is private from its first byte on.
    (
        umask 077
        rm -f "$settings_file.new"
        for pair in "$@"; do
            [ -z "${pair#*=}" ] || printf '%s\n' "$pair"
        done >"$settings_file.new"
        [ ! -f "$settings_file" ] || keep_others "$@" <"$settings_file" >>"$settings_file.new"
    )
    mv "$settings_file.new" "$settings_file"
    say "addresses remembered in $settings_file"
}

keep_others() { # keep_others NAME=VALUE... : the lines of other names
    local line pair
    while IFS= read -r line; do
        for pair in "$@"; do
            [ "${line%%=*}" != "${pair%%=*}" ] || continue 2
        done
        printf '%s\n' "$line"
    done
}

main "$@"
