import asyncio
import base64
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from sqlalchemy import Connection, inspect, select, text, update

from auth.keys import hash_key, hint, new_key
from auth.vault import Vault, VaultError
from models.account import AuthType, Credentials, OAuthClient
from models.ids import new_id
from models.principal import ApiKey
from repositories.open import Repositories, open_repositories
from repositories.sql.migrate import migrate
from repositories.sql.tables import accounts, proxy_pool, vault_keys
from tests.repositories.build import OPEN, account, proxy
from tests.repositories.conftest import MASTER_KEY, PROVIDERS

CANARIES = [f"canary-{number}-{os.urandom(6).hex()}" for number in range(7)]
SECRETS = Credentials(
    access=CANARIES[0],
    refresh=CANARIES[1],
    oauth=OAuthClient(
        "https://id.example/token",
        "client",
        client_secret=CANARIES[2],
        token_params={"extra": CANARIES[3]},
    ),
    facts={"cookie": CANARIES[4]},
)


async def _plant(stores: Repositories) -> list[str]:
    """Store a secret in every place for one; return them in every spelling."""
    created = await stores.accounts.create(account(auth_type=AuthType.OAUTH), SECRETS)
    await stores.accounts.store_tokens(created.id, 0, SECRETS)
    await stores.egress.create(proxy(url=f"http://user:{CANARIES[5]}@one.example:3128"))
    key = new_key()
    pepper = stores.vault.subkey("api_keys.key_hash")
    await stores.keys.create(ApiKey(new_id(), "k", hash_key(key, pepper), hint(key)))
    secrets = [*CANARIES[:6], key]
    spellings = [
        *secrets,
        *(secret.encode().hex() for secret in secrets),
        *(base64.b64encode(secret.encode()).decode()[:-4] for secret in secrets),
        *(quote(secret) for secret in secrets),
        MASTER_KEY.hex(),
    ]
    return [*spellings, base64.urlsafe_b64encode(MASTER_KEY).decode()[:-1]]


def _cells(connection: Connection) -> Iterator[str]:
    for table in inspect(connection).get_table_names():
        for row in connection.execute(text(f"SELECT * FROM {table}")).all():
            yield from (str(cell) for cell in row)


async def test_no_secret_is_in_any_row(stores: Repositories) -> None:
    spellings = await _plant(stores)
    content = "\n".join(await stores.db.run(lambda connection: list(_cells(connection))))
    assert "one.example" not in content
    assert "an account" in content
    assert [secret for secret in spellings if secret in content] == []


async def test_no_secret_is_in_the_bytes_of_the_files(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/aigateway.db"
    await asyncio.to_thread(migrate, url)
    async with open_repositories(url, Vault.of(MASTER_KEY)) as stores:
        await stores.providers.seed(PROVIDERS)
        spellings = await _plant(stores)
        open_files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    closed_files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert open_files["aigateway.db-wal"]
    for files in (open_files, closed_files):
        content = b"".join(files.values())
        assert b"an account" in content
        assert [secret for secret in spellings if secret.encode() in content] == []


async def test_credentials_moved_to_another_account_do_not_open(
    stores: Repositories, caplog: pytest.LogCaptureFixture
) -> None:
    first = await stores.accounts.create(account(), Credentials("sk-first"))
    second = await stores.accounts.create(account(), Credentials("sk-second"))

    def swap(connection: Connection) -> None:
        found = connection.execute(select(accounts.c.id, accounts.c.auth_data))
        sealed = {row.id: row.auth_data for row in found}
        for one, other in ((first.id, second.id), (second.id, first.id)):
            moved = update(accounts).where(accounts.c.id == one).values(auth_data=sealed[other])
            connection.execute(moved)

    await stores.db.run(swap)
    for moved in (first, second):
        with pytest.raises(VaultError, match=f"accounts.auth_data of {moved.id}"):
            await stores.accounts.get(moved.id)
    third = await stores.accounts.create(account(), OPEN)
    with caplog.at_level(logging.ERROR):
        loaded = await stores.accounts.all()
    assert [one.account.id for one in loaded] == [third.id]
    assert [record.message for record in caplog.records] == ["account left out"] * 2


async def test_a_flipped_bit_in_a_row_is_refused(stores: Repositories) -> None:
    created = await stores.accounts.create(account(), OPEN)
    way = await stores.egress.create(proxy("one"))

    def flip(connection: Connection) -> None:
        for column in (accounts.c.auth_data, proxy_pool.c.url):
            sealed = connection.execute(select(column)).scalar_one()
            flipped = "A" if sealed[-5] != "A" else "B"
            changed = update(column.table).values({column: sealed[:-5] + flipped + sealed[-4:]})
            connection.execute(changed)

    await stores.db.run(flip)
    with pytest.raises(VaultError):
        await stores.accounts.get(created.id)
    with pytest.raises(VaultError):
        await stores.egress.get(way.id)
    assert await stores.accounts.all() == []
    assert await stores.egress.all() == []
    # It can still be shown, repaired and deleted.
    assert (await stores.accounts.page(limit=5, offset=0)).total == 1
    await stores.accounts.delete(created.id)
    await stores.egress.delete(way.id)


async def test_an_address_moved_to_another_proxy_does_not_open(stores: Repositories) -> None:
    first = await stores.egress.create(proxy("one"))
    second = await stores.egress.create(proxy("two"))

    def move(connection: Connection) -> None:
        url = select(proxy_pool.c.url).where(proxy_pool.c.id == first.id)
        sealed = connection.execute(url).scalar_one()
        moved = update(proxy_pool).where(proxy_pool.c.id == second.id).values(url=sealed)
        connection.execute(moved)

    await stores.db.run(move)
    with pytest.raises(VaultError):
        await stores.egress.get(second.id)
    assert [found.id for found in await stores.egress.all()] == [first.id]


async def test_another_master_key_is_refused_before_anything_is_written(
    stores: Repositories, database_url: str
) -> None:
    await stores.check()
    async with open_repositories(database_url, Vault.of(b"x" * 32)) as wrong:
        with pytest.raises(VaultError, match="another master key"):
            await wrong.check()
    await stores.check()


async def test_a_proof_that_was_changed_is_refused(stores: Repositories) -> None:
    await stores.check()
    other = stores.vault.seal(b"x", table="vault_keys", column="proof", row_id="elsewhere")
    forged = update(vault_keys).values(proof=other)
    await stores.db.run(lambda connection: connection.execute(forged).rowcount)
    with pytest.raises(VaultError, match="changed or moved"):
        await stores.check()


async def test_a_new_key_beside_the_old_one_is_accepted(
    stores: Repositories, database_url: str
) -> None:
    created = await stores.accounts.create(account(), OPEN)
    await stores.check()
    keys = {stores.vault.current: MASTER_KEY, "new": b"n" * 32}
    async with open_repositories(database_url, Vault(keys, "new")) as rotated:
        await rotated.check()
        stored = await rotated.accounts.get(created.id)
        assert stored is not None
        assert stored.credentials == OPEN
    async with open_repositories(database_url, Vault({"new": b"n" * 32}, "new")) as later:
        await later.check()


async def test_several_may_prove_the_key_at_once(stores: Repositories) -> None:
    await asyncio.gather(*(stores.check() for _ in range(8)))


async def test_nothing_secret_shows_in_representations(stores: Repositories) -> None:
    await _plant(stores)
    shown = f"{await stores.accounts.all()} {await stores.egress.all()} {await stores.keys.all()}"
    assert [canary for canary in CANARIES if canary in f"{shown} {stores}"] == []
