#!/usr/bin/env bash
# Install every program and run its tests, with nothing left out. Arguments go on to pytest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

if [ ! -x .venv/bin/pytest ]; then
    printf 'clients: scripts/init.sh --dev or scripts/test.sh first\n' >&2
    exit 1
fi
tests/clients/install.sh
export AIGATEWAY_TEST_REQUIRE_SERVICES=1
exec .venv/bin/python -m pytest --numprocesses "${AIGATEWAY_TEST_WORKERS:-2}" --dist worksteal \
    tests/clients "$@"
