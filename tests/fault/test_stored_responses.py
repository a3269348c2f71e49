"""Stored answers when Redis dies: told apart from answers that never were, and nobody waits."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from auth.vault import Vault
from models.errors import BadRequest, NotFound, StorageUnavailable
from repositories.shared import open_shared
from services.conversations import Conversations
from services.reply import Reply
from services.stored_responses import Keeping, StoredResponse, StoredResponses
from tests.fakes.private_servers import PrivateRedis, private_redis
from tests.services.test_conversations import MESSAGE, asked, response

ANSWER = StoredResponse(["x" * 200_000], response(MESSAGE))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PrivateRedis]:
    with private_redis(tmp_path) as redis:
        yield redis


async def test_every_replica_finds_what_one_of_them_kept(server: PrivateRedis) -> None:
    async with (
        open_shared(server.url, timeout_s=5) as one,
        open_shared(server.url, timeout_s=5) as two,
    ):
        here, there = (
            StoredResponses(shared, Vault.of(b"k" * 32), Keeping()) for shared in (one, two)
        )
        await here.put("key-1", ANSWER)
        assert (await there.get("key-1", "resp_1")).response == ANSWER.response
        assert await there.items("key-1", ["msg_1"]) == {"msg_1": MESSAGE}
        await there.delete("key-1", "resp_1")
        with pytest.raises(NotFound):
            await here.get("key-1", "resp_1")


@pytest.mark.parametrize("how", ["kill", "freeze"])
async def test_while_redis_is_away_answers_are_given_and_nobody_pretends(
    server: PrivateRedis, how: str
) -> None:
    async with open_shared(server.url, timeout_s=0.25, breaker_pause_s=60) as shared:
        stored = StoredResponses(shared, Vault.of(b"k" * 32), Keeping())
        conversations = Conversations(stored)
        await stored.put("key-1", ANSWER)
        getattr(server, how)()
        async with asyncio.timeout(10):
            for call in (stored.get("key-1", "resp_1"), stored.delete("key-1", "resp_1")):
                with pytest.raises(StorageUnavailable):
                    await call
            with pytest.raises(StorageUnavailable):
                await conversations.recall(asked(previous_response_id="resp_1", input="And?"))
            request, reply = asked(input="Hi"), Reply(b'{"object":"response"}')
            assert (await conversations.keep(request, request, reply)).body == reply.body
        if how == "freeze":
            server.thaw()


async def test_what_redis_lost_is_said_to_be_unknown(server: PrivateRedis) -> None:
    async with open_shared(server.url, timeout_s=5, breaker_pause_s=0.1) as shared:
        stored = StoredResponses(shared, Vault.of(b"k" * 32), Keeping())
        await stored.put("key-1", ANSWER)
        for key in ("responses:key-1:resp_1", "responses:key-1:item:msg_1"):
            await shared.delete(key)
        with pytest.raises(BadRequest) as caught:
            await Conversations(stored).recall(asked(previous_response_id="resp_1"))
        assert caught.value.code == "previous_response_not_found"
