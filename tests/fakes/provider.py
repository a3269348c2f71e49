"""A pretend provider: a real HTTP server that speaks the formats of one of them.

It keeps a journal of what it was asked, answers a scenario, refuses what the real provider
would refuse, and fails on demand: per key, in turn, before or inside a stream.
"""

import argparse
import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, get_args

from aiohttp import web

from tests.fakes.formats.base import Endpoint, Refused, Seen
from tests.fakes.formats.code_assist import Onboarding
from tests.fakes.origins import Kind, endpoints, error_of
from tests.fakes.scenarios import Scenario, compact

__all__ = ["Break", "Failure", "FakeProvider", "Kind", "Seen", "error_body", "refusal"]

WORDS = "the provider's own words"


@dataclass(frozen=True)
class Failure:
    """An answer that is an error."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


@dataclass(frozen=True)
class Break:
    """How a stream fails to come to its end."""

    after: int
    """So many pieces of the scenario's stream come first; counted from the end if negative."""
    status: int | None = None
    """An error like this is told then; None for no word at all."""


@dataclass
class Served:
    """A call of a model and what it was answered."""

    key: str
    text: str
    """Body of the request."""
    at: float
    """Seconds of the monotonic clock at which it came."""
    status: int = 0
    """0 while there is no answer, and where the caller left before."""


Behaviour: TypeAlias = Callable[[Seen], Awaitable[Failure | None]]
"""What one account does with a call: fails, waits, or serves (None)."""


@dataclass
class FakeProvider:
    """State and behaviour of one pretend provider."""

    kind: Kind
    scenario: Scenario = field(default_factory=Scenario)
    refuses: bool = True
    """Whether malformed requests get the real provider's answer."""
    respond: Callable[[Seen], Scenario] | None = None
    """Chooses the scenario by the request; without it every answer is `scenario`."""
    failures: list[Failure] = field(default_factory=list)
    """Used up in order before anything is answered."""
    failures_by_key: dict[str, Failure] = field(default_factory=dict)
    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    """By key."""
    raw_stream: list[bytes] | None = None
    """Sent as it is instead of the scenario's stream."""
    raw_streams: list[list[bytes]] = field(default_factory=list)
    """The same for one stream after the other."""
    breaks: list[Break] = field(default_factory=list)
    """One for each stream, used up in order."""
    split_bytes: int | None = None
    """Cut the stream into pieces of so many bytes."""
    pause_s: float = 0.0
    """Wait between the pieces of a stream."""
    delay_s: float = 0.0
    """Wait before the head of an answer."""
    cut_after: int | None = None
    """Drop the connection after so many pieces of a stream."""
    hang_after: int | None = None
    """Fall silent for ever after so many pieces."""
    models: tuple[str, ...] = ("fake-model",)
    onboarding: Onboarding = field(default_factory=Onboarding)
    """Code Assist: how accounts find their project."""
    seen: list[Seen] = field(default_factory=list)
    served: list[Served] = field(default_factory=list)
    in_flight: Counter[str] = field(default_factory=Counter)
    """Calls that are being served, by key."""
    most_in_flight: Counter[str] = field(default_factory=Counter)
    """The most at once that there ever were, by key."""
    by_key: Counter[str] = field(default_factory=Counter)
    sent: list[bytes] = field(default_factory=list)
    """Bodies of whole answers and streams, as sent."""
    open_streams: int = 0
    closed_by_client: int = 0
    url: str = ""

    def app(self) -> web.Application:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        for endpoint in endpoints(self.kind, lambda: self.models, self.onboarding):
            app.router.add_route(endpoint.method, endpoint.path, self._handler(endpoint))
        app.router.add_get("/journal", self._journal)
        return app

    async def start(self, port: int = 0) -> web.AppRunner:
        """Listen on loopback; sets `url`. The caller cleans the runner up."""
        runner = web.AppRunner(self.app(), handler_cancellation=True, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    def _handler(
        self, endpoint: Endpoint
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._answer(request, endpoint)

        return handle

    async def _answer(self, request: web.Request, endpoint: Endpoint) -> web.StreamResponse:
        seen = await _read(request)
        if not endpoint.counts:
            return await self._answered(request, endpoint, seen)
        served = Served(seen.key, seen.body.decode("utf-8", "replace"), time.monotonic())
        self.served.append(served)
        self.in_flight[seen.key] += 1
        self.most_in_flight[seen.key] = max(self.most_in_flight[seen.key], self.in_flight[seen.key])
        try:
            response = await self._answered(request, endpoint, seen)
            served.status = response.status
            return response
        finally:
            self.in_flight[seen.key] -= 1

    async def _answered(
        self, request: web.Request, endpoint: Endpoint, seen: Seen
    ) -> web.StreamResponse:
        failure = await self._met(seen) if endpoint.counts else None
        if failure is None and self.refuses:
            failure = refusal(endpoint, seen)
        if failure is not None:
            return web.Response(
                status=failure.status,
                body=failure.body or endpoint.error(failure.status, WORDS),
                headers=dict(failure.headers),
                content_type=failure.content_type,
            )
        if endpoint.stream is not None and endpoint.wants_stream(seen):
            return await self._stream(request, endpoint, seen)
        body = compact(endpoint.whole(self._scenario(seen), seen)).encode()
        if endpoint.counts:
            self.sent.append(body)
        return web.Response(body=body, content_type="application/json")

    async def _met(self, seen: Seen) -> Failure | None:
        """Put a call of a model down, and return the failure that it meets."""
        self.seen.append(seen)
        self.by_key[seen.key] += 1
        if self.delay_s:
            await self._wait(self.delay_s)
        if (behaviour := self.behaviours.get(seen.key)) is not None:
            return await behaviour(seen)
        return self.failures_by_key.get(seen.key) or self._next_failure()

    async def _stream(
        self, request: web.Request, endpoint: Endpoint, seen: Seen
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": endpoint.stream_type(seen)})
        await response.prepare(request)
        pieces = self._pieces(endpoint, seen)
        self.sent.append(b"".join(pieces))
        self.open_streams += 1
        try:
            for count, piece in enumerate(pieces):
                if self.cut_after == count:
                    assert request.transport is not None
                    await asyncio.sleep(0.01)
                    request.transport.abort()
                    return response
                if self.hang_after == count:
                    await asyncio.sleep(3600)
                await response.write(piece)
                if self.pause_s:
                    await asyncio.sleep(self.pause_s)
            await response.write_eof()
        except (asyncio.CancelledError, ConnectionError):
            self.closed_by_client += 1
            raise
        finally:
            self.open_streams -= 1
        return response

    def _pieces(self, endpoint: Endpoint, seen: Seen) -> list[bytes]:
        if self.raw_streams:
            return self.raw_streams.pop(0)
        if self.raw_stream is not None:
            return list(self.raw_stream)
        assert endpoint.stream is not None
        whole = list(endpoint.stream(self._scenario(seen), seen))
        if self.breaks:
            return _broken(whole, self.breaks.pop(0), endpoint)
        if self.split_bytes is None:
            return whole
        data, size = b"".join(whole), self.split_bytes
        return [data[start : start + size] for start in range(0, len(data), size)]

    def _scenario(self, seen: Seen) -> Scenario:
        return self.respond(seen) if self.respond else self.scenario

    async def _wait(self, delay_s: float) -> None:
        try:
            await asyncio.sleep(delay_s)
        except asyncio.CancelledError:
            self.closed_by_client += 1
            raise

    def _next_failure(self) -> Failure | None:
        return self.failures.pop(0) if self.failures else None

    async def _journal(self, _request: web.Request) -> web.Response:
        return web.json_response({"total": len(self.seen), "by_key": dict(self.by_key)})


def _broken(pieces: list[bytes], how: Break, endpoint: Endpoint) -> list[bytes]:
    if how.status is None:
        return pieces[: how.after]
    assert endpoint.stream_error is not None
    return [*pieces[: how.after], endpoint.stream_error(how.status, WORDS)]


async def _read(request: web.Request) -> Seen:
    body = await request.read()
    try:
        payload = json.loads(body)
    except ValueError:
        payload = {}
    headers = {name.lower(): value for name, value in request.headers.items()}
    key = headers.get("x-api-key") or headers.get("x-goog-api-key")
    key = key or headers.get("authorization", "").removeprefix("Bearer ")
    model = request.match_info.get("model") or payload.get("model")
    return Seen(
        request.path,
        headers,
        payload,
        body,
        key,
        str(request.remote),
        dict(request.query),
        str(model or ""),
    )


def error_body(kind: Kind, status: int, message: str = WORDS) -> bytes:
    """Return an error in the provider's own format."""
    return error_of(kind)(status, message)


def refusal(endpoint: Endpoint, seen: Seen) -> Failure | None:
    """Return what the real provider would answer to a malformed request; None when it is fine."""
    try:
        endpoint.check(seen)
    except Refused as refused:
        return Failure(refused.status, endpoint.error(refused.status, refused.message))
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        return Failure(400, endpoint.error(400, f"a field has the wrong type: {error!r}"))
    return None


async def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kind", choices=get_args(Kind), required=True)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    provider = FakeProvider(arguments.kind)
    await provider.start(arguments.port)
    print(provider.url, flush=True)  # noqa: T201 - the parent reads it
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main())
