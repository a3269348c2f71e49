#!/usr/bin/env bash
# Run every check and every test. Arguments go on to pytest (`scripts/test.sh -k relay`).
#
# Tests that need MariaDB/MySQL or Redis run where AIGATEWAY_TEST_MYSQL_URL and
# AIGATEWAY_TEST_REDIS_URL name one; else they are left out and named at the end, or they fail
# with AIGATEWAY_TEST_REQUIRE_SERVICES=1. AIGATEWAY_TEST_WORKERS processes (2) run the tests.
# AIGATEWAY_TEST_CLIENT (own, aiohttp) and AIGATEWAY_TEST_LOOP (uvloop, asyncio) choose what calls
# providers and what everything runs on, in the tests and in the gateways that they start.
# AIGATEWAY_TEST_EXAMPLES=1000 gives each property so many examples at random; else they are the
# same hundred in each run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The tests never see the settings, the data or the databases of the person who runs them.
for name in $(compgen -e AIGATEWAY_ || true); do
    case $name in AIGATEWAY_TEST_*) ;; *) unset "$name" ;; esac
done
data=$(mktemp -d)
trap 'rm -rf "$data"' EXIT

# Setting up is itself under test; the key keeps init from making one and printing it.
key=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
AIGATEWAY_DATA_DIR=$data/data AIGATEWAY_SECURITY__ADMIN_KEY=$key scripts/init.sh --dev
export PATH=$PWD/.venv/bin:$PATH

failed=()
check() { # check NAME COMMAND... : run it and go on
    local name=$1
    shift
    printf '\n== %s\n' "$name"
    "$@" || failed+=("$name")
}

check "lint" ruff check .
check "format" ruff format --check .
check "types" mypy
check "layers" lint-imports --no-logo
check "tests" python -m pytest --numprocesses "${AIGATEWAY_TEST_WORKERS:-2}" --dist worksteal "$@"

if [ ${#failed[@]} -gt 0 ]; then
    printf '\nfailed: %s\n' "${failed[*]}"
    exit 1
fi
printf '\nall checks passed\n'
