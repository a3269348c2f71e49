import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from auth.vault import Vault
from models.event import Event, EventKind
from models.ids import new_id
from repositories.open import Repositories, open_repositories
from repositories.shared_memory import MemoryState
from services import webhook as webhook_module
from services.event_feed import EventFeed
from services.guard import AddressGuard
from services.transport import open_transport
from services.webhook import CURSOR, Receiver, Webhook
from tests import chosen
from tests.fakes.clock import FakeClock
from tests.waiting import until

SECRET = b"a secret of sixteen or more"


@dataclass
class Taken:
    """What a receiver was posted."""

    headers: dict[str, str]
    body: bytes

    @property
    def message(self) -> str:
        return str(json.loads(self.body)["message"])


@dataclass
class Hook:
    """A receiver; it answers what `answers` say, then 204."""

    answers: list[web.Response] = field(default_factory=list)
    seen: list[Taken] = field(default_factory=list)
    elsewhere: int = 0
    url: str = ""
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def told(self) -> list[str]:
        return [taken.message for taken in self.seen]

    async def take(self, request: web.Request) -> web.Response:
        self.seen.append(Taken(dict(request.headers), await request.read()))
        await self.may_answer.wait()
        return self.answers.pop(0) if self.answers else web.Response(status=204)

    async def other(self, _: web.Request) -> web.Response:
        self.elsewhere += 1
        return web.Response()


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    made = Hook()
    made.may_answer.set()
    app = web.Application()
    app.router.add_post("/hook", made.take)
    app.router.add_route("*", "/other", made.other)
    async with TestServer(app) as server:
        made.url = str(server.make_url("/hook"))
        yield made


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def stores(clock: FakeClock) -> AsyncIterator[Repositories]:
    async with open_repositories("sqlite://", Vault.of(bytes(32)), clock=clock) as opened:
        yield opened


@dataclass
class Posting:
    """Posts what is stored, as one replica of several."""

    stores: Repositories
    clock: FakeClock
    hook: Hook
    guard: AddressGuard = field(default_factory=lambda: AddressGuard(["127.0.0.0/8"]))
    secret: bytes | None = SECRET
    pauses: list[float] = field(default_factory=list)

    @asynccontextmanager
    async def running(self, owner: str = "one") -> AsyncIterator[None]:
        feed = EventFeed(self.stores.events, MemoryState(), look_every_s=0.01)
        async with open_transport(
            self.guard, connect_timeout_s=5, client=chosen.CLIENT
        ) as transport:
            webhook = Webhook(
                feed,
                self.stores.cursors,
                transport,
                self.clock,
                Receiver(self.hook.url, self.secret, "aigateway/0"),
                owner=owner,
                pause=self._pause,
            )
            task = asyncio.create_task(webhook.run())
            try:
                yield
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await asyncio.sleep(0.001)

    async def tell(self, *messages: str) -> None:
        await self.stores.events.store(
            [Event(new_id(), self.clock.now(), EventKind.ACCOUNT_COOLED, one) for one in messages]
        )

    async def reached(self, position: str) -> None:
        """Return when everything up to there has been posted."""
        async with asyncio.timeout(10):
            while await self.stores.cursors.get(CURSOR) != position:  # noqa: ASYNC110 - it is in the database
                await asyncio.sleep(0.01)


@pytest.fixture
async def posting(stores: Repositories, clock: FakeClock, hook: Hook) -> Posting:
    await stores.cursors.put(CURSOR, "0", now=clock.now())
    return Posting(stores, clock, hook)


async def test_each_event_is_posted_in_order_signed_and_once(posting: Posting) -> None:
    messages = [f"event {n}" for n in range(20)]
    await posting.tell(*messages[:15])
    async with posting.running():
        await until(lambda: len(posting.hook.seen) == 15)
        await posting.tell(*messages[15:])
        await until(lambda: len(posting.hook.seen) == 20)
        await posting.tell("last")
        await until(lambda: len(posting.hook.seen) == 21)
    assert posting.hook.told == [*messages, "last"]
    stored = await posting.stores.events.after(0, limit=99)
    for event, taken in zip(stored, posting.hook.seen, strict=True):
        headers, timestamp = taken.headers, int(posting.clock.now())
        assert headers["x-aigateway-event-id"] == event.id == json.loads(taken.body)["id"]
        assert headers["x-aigateway-timestamp"] == str(timestamp)
        signature = hmac.new(SECRET, f"{timestamp}.".encode() + taken.body, hashlib.sha256)
        assert headers["x-aigateway-signature"] == f"sha256={signature.hexdigest()}"
        assert headers["User-Agent"] == "aigateway/0"
        assert headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda: web.Response(status=500, text="x" * 200_000), id="server error"),
        pytest.param(lambda: web.Response(status=400), id="refused"),
        pytest.param(
            lambda: web.Response(status=302, headers={"location": "/other"}), id="redirect"
        ),
        pytest.param(lambda: web.Response(status=304), id="not modified"),
    ],
)
async def test_a_receiver_that_fails_at_first_gets_everything_in_order(
    posting: Posting, answer: Callable[[], web.Response]
) -> None:
    posting.hook.answers = [answer() for _ in range(3)]
    await posting.tell("first", "second")
    async with posting.running():
        await until(lambda: posting.hook.told[-1:] == ["second"])
    assert posting.hook.told == ["first"] * 4 + ["second"]
    assert posting.hook.elsewhere == 0
    assert posting.pauses == [1.0, 2.0, 4.0]


async def test_pauses_double_up_to_five_minutes(posting: Posting) -> None:
    posting.hook.answers = [web.Response(status=503) for _ in range(11)]
    await posting.tell("first")
    async with posting.running():
        await until(lambda: len(posting.hook.seen) == 12)
    # Longer ones are cut into parts, so that the lease is renewed in between.
    assert sum(posting.pauses) == 1 + 2 + 4 + 8 + 16 + 32 + 64 + 128 + 256 + 300 + 300
    assert max(posting.pauses) == 15


async def test_a_receiver_that_does_not_answer_is_given_up_after_a_while(
    posting: Posting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_module, "_CALL_S", 0.05)
    posting.hook.may_answer.clear()
    await posting.tell("first")
    async with posting.running():
        await until(lambda: len(posting.hook.seen) == 3)
        posting.hook.may_answer.set()
        monkeypatch.setattr(webhook_module, "_CALL_S", 10.0)
        position = str((await posting.stores.events.after(0, limit=1))[0].position)
        await posting.reached(position)


async def test_what_happens_while_nobody_posts_is_posted_later(posting: Posting) -> None:
    async with posting.running("one"):
        await posting.tell("first")
        await until(lambda: posting.hook.told == ["first"])
    await posting.tell("second")
    async with posting.running("after the restart"):
        await until(lambda: posting.hook.told == ["first", "second"])


async def test_one_replica_posts_at_a_time(posting: Posting) -> None:
    messages = [f"event {n}" for n in range(30)]
    async with posting.running("one"), posting.running("two"), posting.running("three"):
        for message in messages:
            await posting.tell(message)
        await until(lambda: len(posting.hook.seen) == 30)
    assert posting.hook.told == messages


async def test_a_replica_takes_over_from_one_that_died(posting: Posting) -> None:
    dead = posting.clock.now()
    assert await posting.stores.cursors.lead("webhook.lease", "dead", now=dead, lease_s=45)
    await posting.tell("first")
    async with posting.running("one"):
        await until(lambda: len(posting.pauses) > 3)
        assert posting.hook.told == []
        posting.clock.advance(46)
        await until(lambda: posting.hook.told == ["first"])


async def test_a_replica_that_lost_its_lease_posts_nothing_more(posting: Posting) -> None:
    await posting.tell("first")
    async with posting.running("one"):
        await posting.reached("1")
        await asyncio.sleep(0.1)  # until it waits for the next one
        posting.clock.advance(46)
        now = posting.clock.now()
        assert await posting.stores.cursors.lead("webhook.lease", "two", now=now, lease_s=45)
        await posting.tell("second")
        await until(lambda: len(posting.pauses) > 3)
    assert posting.hook.told == ["first"]


async def test_an_address_that_is_set_for_the_first_time_gets_what_happens_from_then_on(
    stores: Repositories, clock: FakeClock, hook: Hook
) -> None:
    posting = Posting(stores, clock, hook)
    await posting.tell("long ago")
    async with posting.running():
        await posting.reached("1")
        await posting.tell("now")
        await until(lambda: hook.seen)
    assert hook.told == ["now"]


async def test_an_address_inside_is_not_posted_to_unless_that_is_allowed(
    posting: Posting, caplog: pytest.LogCaptureFixture
) -> None:
    posting.guard = AddressGuard()
    await posting.tell("first")
    async with posting.running():
        await until(lambda: len(posting.pauses) > 3)
    assert posting.hook.seen == []
    assert posting.hook.url not in caplog.text


async def test_an_address_with_a_password_is_asked_with_it(posting: Posting) -> None:
    posting.hook.url = posting.hook.url.replace("://", "://user:word@")
    await posting.tell("first")
    async with posting.running():
        await until(lambda: posting.hook.seen)
    told = posting.hook.seen[0].headers["Authorization"]
    assert told == "Basic " + base64.b64encode(b"user:word").decode()


async def test_without_a_secret_nothing_is_signed(posting: Posting) -> None:
    posting.secret = None
    await posting.tell("first")
    async with posting.running():
        await until(lambda: posting.hook.seen)
    assert "x-aigateway-signature" not in posting.hook.seen[0].headers
