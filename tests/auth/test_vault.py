import base64
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth.vault import (
    Vault,
    VaultError,
    create_master_key,
    parse_master_key,
    read_master_key,
)

KEY = bytes(range(32))
VAULT = Vault.of(KEY)
SECRET = b"canary-4af1-refresh-token"


def _seal(vault: Vault = VAULT, row_id: str = "row1") -> str:
    return vault.seal(SECRET, table="accounts", column="auth_data", row_id=row_id)


def _open(sealed: str, vault: Vault = VAULT, row_id: str = "row1") -> bytes:
    return vault.open(sealed, table="accounts", column="auth_data", row_id=row_id)


@given(st.binary(max_size=2000), st.text(), st.text(), st.text())
def test_what_is_sealed_opens_in_its_place(
    plaintext: bytes, table: str, column: str, row_id: str
) -> None:
    sealed = VAULT.seal(plaintext, table=table, column=column, row_id=row_id)
    assert VAULT.open(sealed, table=table, column=column, row_id=row_id) == plaintext


def test_sealed_form_names_version_and_key_and_differs_each_time() -> None:
    first, second = _seal(), _seal()
    assert first.startswith(f"v1.{VAULT.current}.")
    assert first != second
    body = base64.urlsafe_b64decode(first.split(".")[2] + "==")
    assert len(body) == 12 + len(SECRET) + 16
    assert SECRET not in body


@pytest.mark.parametrize(
    ("table", "column", "row_id"),
    [
        ("accounts", "auth_data", "row2"),
        ("accounts", "auth_dat", "arow1"),
        ("accountsauth_data", "", "row1"),
        ("proxy_pool", "auth_data", "row1"),
        ("accounts", "url", "row1"),
    ],
)
def test_a_moved_ciphertext_does_not_open(table: str, column: str, row_id: str) -> None:
    with pytest.raises(VaultError, match="changed or moved"):
        VAULT.open(_seal(), table=table, column=column, row_id=row_id)


def test_every_flipped_bit_is_refused() -> None:
    sealed = _seal()
    for position in range(len(sealed)):
        for bit in range(7):
            changed = chr(ord(sealed[position]) ^ (1 << bit))
            with pytest.raises(VaultError):
                _open(sealed[:position] + changed + sealed[position + 1 :])


@pytest.mark.parametrize("sealed", ["", "v1", "v1..", "v2.x.y", "plain text", "v1.k\u00e9.AAAA"])
def test_what_is_not_sealed_does_not_open(sealed: str) -> None:
    with pytest.raises(VaultError):
        _open(sealed)


def test_truncated_values_do_not_open() -> None:
    sealed = _seal()
    for length in range(len(sealed)):
        with pytest.raises(VaultError):
            _open(sealed[:length])


def test_another_master_key_does_not_open() -> None:
    with pytest.raises(VaultError, match="not at hand"):
        _open(_seal(), Vault.of(os.urandom(32)))
    same_name = Vault({VAULT.current: os.urandom(32)}, VAULT.current)
    with pytest.raises(VaultError, match="changed or moved"):
        _open(_seal(), same_name)


def test_errors_and_repr_say_nothing_secret() -> None:
    sealed = _seal()
    with pytest.raises(VaultError) as caught:
        _open(sealed, row_id="row2")
    assert caught.value.__cause__ is None
    for text in (str(caught.value), repr(caught.value), repr(VAULT)):
        assert sealed.split(".")[2] not in text
        assert KEY.hex() not in text
        assert repr(KEY) not in text


def test_a_new_key_seals_and_the_old_one_still_opens() -> None:
    old = Vault({"a": KEY}, "a")
    both = Vault({"a": KEY, "b": os.urandom(32)}, "b")
    assert _open(_seal(old), both) == SECRET
    assert _seal(both).startswith("v1.b.")
    assert both.subkey("api_keys") == old.subkey("api_keys")


def test_subkeys_differ_by_purpose_and_master_key() -> None:
    assert VAULT.subkey("a") == Vault.of(KEY).subkey("a")
    keys = {VAULT.subkey("a"), VAULT.subkey("b"), Vault.of(b"x" * 32).subkey("a"), KEY}
    assert len(keys) == 4


@pytest.mark.parametrize(
    ("keys", "current"),
    [({"a": KEY}, "b"), ({"a": KEY[:16]}, "a"), ({"a.b": KEY}, "a.b"), ({}, "a")],
)
def test_an_unfit_key_ring_is_refused(keys: dict[str, bytes], current: str) -> None:
    with pytest.raises(VaultError):
        Vault(keys, current)


def test_a_created_key_file_is_private_and_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "data" / "master.key"
    key = create_master_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_master_key(path) == key
    assert [entry.name for entry in path.parent.iterdir()] == ["master.key"]


def test_an_existing_key_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    key = create_master_key(path)
    with pytest.raises(FileExistsError):
        create_master_key(path)
    assert read_master_key(path) == key
    assert [entry.name for entry in tmp_path.iterdir()] == ["master.key"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o777])
def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "master.key"
    create_master_key(path)
    path.chmod(mode)
    with pytest.raises(VaultError, match="chmod 600"):
        read_master_key(path)


def test_a_missing_key_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VaultError, match="cannot be read"):
        read_master_key(tmp_path / "master.key")
    with pytest.raises(VaultError, match="cannot be read"):
        read_master_key(tmp_path)


@pytest.mark.parametrize("text", ["", "abc", "A" * 42, "A" * 44, "\u00e9" * 43, "A" * 42 + "B"])
def test_an_unfit_key_file_is_refused_without_showing_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "master.key"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(VaultError, match="43 characters") as caught:
        read_master_key(path)
    assert text == "" or text not in str(caught.value)


def test_a_key_reads_with_padding_and_line_end() -> None:
    text = base64.urlsafe_b64encode(KEY).decode()
    assert parse_master_key(text + "\n") == parse_master_key(text.rstrip("=")) == KEY
