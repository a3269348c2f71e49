"""Whatever is cancelled in a request, wherever it waits: no lease, stream or connection is left."""

import asyncio
import random
from contextlib import suppress
from dataclasses import replace

import pytest

from models.errors import Blame, ConnectFailed, ConnectionLost, GatewayError, UpstreamError
from models.exchange import RequestRecord
from services.answers import Limits
from tests.builders import make_provider, make_stored
from tests.fakes.provider import error_body
from tests.fakes.sink import FakeSink
from tests.fakes.transport import Answer, FakeResponse, Sent, whole
from tests.services.executor_rig import Rig, chat_answer, make_record, make_request

_ACCOUNTS = range(1, 5)
_STAND_INS = ("second/gpt-y", "first/gpt-z")


class Crowd:
    """Clients that ask, read and leave, of providers that do what they like."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.rig = Rig(
            self._script,
            [
                make_stored(number, provider_id="first" if number < 4 else "second")
                for number in _ACCOUNTS
            ],
            providers=[make_provider("first"), make_provider("second", prefixes=())],
            limits=Limits(hedge_after_s=0.001, max_wait_s=0.01, first_byte_timeout_s=1e9),
        )
        self._send = self.rig.transport.send
        self.rig.transport.send = self.send  # type: ignore[method-assign]
        self.told = 0

    def _script(self, sent: Sent) -> Answer | UpstreamError:
        match self.chance.randrange(10):
            case 0:
                return whole(error_body("chat", 500), 500)
            case 1:
                return whole(error_body("chat", 429), 429, retry_after="1")
            case 2:
                return ConnectFailed("dead", blame=Blame.PROVIDER)
            case 3:
                return ConnectionLost("lost")
            case _:
                return chat_answer(sent)

    async def _wind(self) -> None:
        if self.chance.random() < 0.1:
            await asyncio.sleep(0.002)
        for _ in range(self.chance.randrange(4)):
            await asyncio.sleep(0)

    async def send(self, *args: object, **options: object) -> FakeResponse:
        await self._wind()
        response = await self._send(*args, **options)  # type: ignore[arg-type]
        read_some = response.read_some

        async def slowly(wait_s: float) -> bytes | None:
            await self._wind()
            return await read_some(wait_s)

        response.read_some = slowly  # type: ignore[method-assign]
        return response

    async def request(self) -> None:
        chance = self.chance
        request = replace(
            make_request(stream=chance.random() < 0.6),
            fallbacks=chance.choice((None, _STAND_INS)),
            is_race=chance.random() < 0.7,
        )
        record = make_record(request)
        try:
            reply = await self.rig.executor.open(request, record)
        except GatewayError:
            return
        try:
            if reply.stream is not None:
                with suppress(ConnectionError):
                    await reply.stream(FickleSink(self))
            self._check(record)
        finally:
            reply.drop()

    def _check(self, record: RequestRecord) -> None:
        """Who served has its row, and is the one that the record names."""
        self.told += 1
        winners = [row for row in record.tries if row.error_kind is None and row.status == 200]
        assert [row.account_id for row in winners] == [record.account_id]

    async def live(self) -> None:
        running: list[asyncio.Task[None]] = []
        for _ in range(100):
            running.append(asyncio.create_task(self.request()))
            await self._wind()
            if self.chance.random() < 0.7:
                self.chance.choice(running).cancel()
            if self.chance.random() < 0.02:
                self.rig.executor.cut()
            if self.chance.random() < 0.2:
                self.rig.clock.advance(1.0)
        for outcome in await asyncio.gather(*running, return_exceptions=True):
            if outcome is not None and not isinstance(outcome, asyncio.CancelledError):
                raise outcome


class FickleSink(FakeSink):
    """A client that is slow, and may leave after each write."""

    def __init__(self, crowd: Crowd) -> None:
        super().__init__()
        self._crowd = crowd

    def write(self, data: bytes) -> bool:
        super().write(data)
        return False

    async def drain(self) -> None:
        await self._crowd._wind()
        if self._crowd.chance.random() < 0.05:
            raise ConnectionResetError("the client has left")


@pytest.mark.parametrize("seed", range(25))
async def test_nothing_is_left_of_requests_that_are_broken_off_anywhere(seed: int) -> None:
    crowd = Crowd(seed)
    rig = crowd.rig
    async with asyncio.timeout(20):
        await crowd.live()
    assert [rig.pool.inflight(f"{number:032x}") for number in _ACCOUNTS] == [0] * len(_ACCOUNTS)
    assert rig.transport.all_closed
    assert not rig.executor.is_busy
    assert len(asyncio.all_tasks()) == 1
    assert crowd.told > 0
