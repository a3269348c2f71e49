"""Which accounts of an import are there already."""

from collections.abc import Sequence
from typing import TypeAlias

from models.account import Credentials, StoredAccount
from services.transfer_entries import Entry, secret_of

_Key: TypeAlias = tuple[str, str, str]
"""Provider, what it is known by, and that."""


class KnownAccounts:
    """Those that are stored, and those that came before in the same import.

    A credential or an identity belongs to one account of a provider, so these always count; labels
    do when the caller says so.
    """

    def __init__(self, stored: Sequence[StoredAccount], *, by_label: bool) -> None:
        self._by_label = by_label
        self._stored: dict[_Key, list[StoredAccount]] = {}
        self._given: dict[_Key, int] = {}
        for one in stored:
            account = one.account
            keys = self._keys(account.provider_id, account.identity, one.credentials, account.label)
            for key in keys:
                self._stored.setdefault(key, []).append(one)

    def find(self, entry: Entry) -> None:
        """Say of an entry whether it is there."""
        if entry.outcome == "invalid":
            return
        body = entry.given
        credentials = body.auth_data.credentials()
        keys = self._keys(body.provider_id, body.identity, credentials, body.label)
        for key in keys:
            if key in self._stored:
                return self._is_stored(entry, key)
            if key in self._given:
                entry.outcome = "exists"
                entry.reason = f"the same {key[1]} as entry {self._given[key]}"
                return None
        self._given |= dict.fromkeys(keys, entry.index)
        return None

    def _is_stored(self, entry: Entry, key: _Key) -> None:
        found = self._stored[key]
        if len(found) > 1 and key[1] == "label":
            entry.outcome, entry.reason = "invalid", f"label: {len(found)} accounts have it"
            return
        entry.known = found[0]
        entry.account_id = found[0].account.id
        entry.outcome, entry.reason = "exists", f"found by its {key[1]}"

    def _keys(
        self, provider_id: str, identity: str | None, credentials: Credentials, label: str
    ) -> list[_Key]:
        keys = [(provider_id, "credential", secret_of(credentials))]
        if identity is not None:
            keys.insert(0, (provider_id, "identity", identity))
        if self._by_label and label:
            keys.append((provider_id, "label", label))
        return keys
