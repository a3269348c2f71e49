#!/usr/bin/env bash
# Write requirements.lock and requirements-dev.lock anew from pyproject.toml. Needs `uv` on PATH.
# Pins that still fit are kept; `scripts/lock.sh --upgrade` takes what is newest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Debian 12 has Python 3.11.2: resolving for 3.11.0 and all platforms keeps what only it needs.
compile=(uv pip compile --quiet --universal --python-version 3.11.0 --generate-hashes
    --no-header --no-annotate "$@" pyproject.toml)

# tests/test_packaging.py compares this line with pyproject.toml.
fingerprint() {
    python3 - <<'PYTHON'
import hashlib, json, tomllib

with open("pyproject.toml", "rb") as file:
    project = tomllib.load(file)
asked = [project["project"]["dependencies"], project["dependency-groups"]]
print(hashlib.sha256(json.dumps(asked).encode()).hexdigest())
PYTHON
}

head="# Made by scripts/lock.sh; do not edit. Dependencies asked for: $(fingerprint)"
write() { # write FILE OPTION... : compile into FILE under our own first line
    local file=$1
    shift
    "${compile[@]}" "$@" --output-file "$file"
    { echo "$head" && grep -v '^#' "$file"; } >"$file.new"
    mv "$file.new" "$file"
}
write requirements.lock --group build
# The development set is the run-time set and more, never other versions of it.
write requirements-dev.lock --group dev --constraint requirements.lock
