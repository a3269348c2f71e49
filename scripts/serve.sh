#!/usr/bin/env bash
# Set up what is missing, then serve. Arguments go on to `aigateway serve`.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/settings.sh"

"$root/scripts/init.sh"
exec "$root/.venv/bin/aigateway" serve "$@"
