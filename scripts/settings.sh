# Sourced by init.sh and serve.sh: where the data lives, and the addresses that init.sh was told.
# What is in the environment wins over the file; the file is read, never executed.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export AIGATEWAY_DATA_DIR=${AIGATEWAY_DATA_DIR:-$root/data}
settings_file=$AIGATEWAY_DATA_DIR/settings.env

load_settings() {
    local name value
    [ -r "$settings_file" ] || return 0
    while IFS='=' read -r name value; do
        case $name in
            AIGATEWAY_DATABASE__URL | AIGATEWAY_REDIS__URL)
                [ -n "${!name+set}" ] || export "$name=$value"
                ;;
        esac
    done <"$settings_file"
}
