"""The one secret that everything stored is sealed with, as the settings name it."""

from auth.vault import Vault, parse_master_key, read_master_key
from config.settings import Settings


def open_vault(settings: Settings) -> Vault:
    """Return the vault of the master key: from the settings, else from its file.

    Raises VaultError when there is none, it is unfit, or others may read its file.
    """
    given = settings.security.master_key
    if given is not None:
        return Vault.of(parse_master_key(given.get_secret_value()))
    return Vault.of(read_master_key(settings.master_key_file))


def key_pepper(vault: Vault) -> bytes:
    """Return what client keys are hashed with."""
    return vault.subkey("api_keys.key_hash")
