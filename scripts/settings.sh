# Sourced by init.sh and serve.sh: the gateway's folder, and data and configuration in it, found
# from any working directory.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export AIGATEWAY_DATA_DIR=${AIGATEWAY_DATA_DIR:-$root/data}
if [ -z "${AIGATEWAY_CONFIG:-}" ] && [ -f "$root/config/config.yaml" ]; then
    export AIGATEWAY_CONFIG=$root/config/config.yaml
fi
