"""A pretend provider: a real HTTP server that speaks Messages, Chat or GLM's Chat.

It keeps a journal of what it was asked, answers a scenario, refuses what the real provider
would refuse, and fails on demand: per key, in turn, before or inside a stream.
"""

import argparse
import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web

from tests.fakes import scenarios
from tests.fakes.scenarios import Scenario

Kind = Literal["messages", "chat", "glm"]


@dataclass(frozen=True)
class Seen:
    """One request as the provider got it."""

    path: str
    headers: Mapping[str, str]
    payload: dict[str, Any]
    body: bytes
    key: str
    """The credential that signed it."""
    peer: str


@dataclass(frozen=True)
class Failure:
    """An answer that is an error."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


@dataclass
class FakeProvider:
    """State and behaviour of one pretend provider."""

    kind: Kind
    scenario: Scenario = field(default_factory=Scenario)
    respond: Callable[[Seen], Scenario] | None = None
    """Chooses the scenario by the request; without it every answer is `scenario`."""
    failures: list[Failure] = field(default_factory=list)
    """Used up in order before anything is answered."""
    failures_by_key: dict[str, Failure] = field(default_factory=dict)
    raw_stream: list[bytes] | None = None
    """Sent as it is instead of the scenario's stream."""
    raw_streams: list[list[bytes]] = field(default_factory=list)
    """The same for one stream after the other."""
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
    seen: list[Seen] = field(default_factory=list)
    by_key: Counter[str] = field(default_factory=Counter)
    sent: list[bytes] = field(default_factory=list)
    """Bodies of whole answers and streams, as sent."""
    open_streams: int = 0
    closed_by_client: int = 0
    url: str = ""

    def app(self) -> web.Application:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        path = "/v1/messages" if self.kind == "messages" else "/chat/completions"
        models = "/v1/models" if self.kind == "messages" else "/models"
        app.router.add_post(path, self._answer)
        app.router.add_get(models, self._models)
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

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        seen = await self._note(request)
        if self.delay_s:
            await self._wait(self.delay_s)
        failure = self.failures_by_key.get(seen.key) or self._next_failure()
        if failure is None:
            failure = refusal(self.kind, seen)
        if failure is not None:
            return web.Response(
                status=failure.status,
                body=failure.body or error_body(self.kind, failure.status),
                headers=dict(failure.headers),
                content_type=failure.content_type,
            )
        if seen.payload.get("stream"):
            return await self._stream(request, seen)
        whole = scenarios.messages_json if self.kind == "messages" else scenarios.chat_json
        body = scenarios.compact(whole(self._scenario(seen))).encode()
        self.sent.append(body)
        return web.Response(body=body, content_type="application/json")

    async def _stream(self, request: web.Request, seen: Seen) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        pieces = self._pieces(seen)
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

    def _pieces(self, seen: Seen) -> list[bytes]:
        if self.raw_streams:
            return self.raw_streams.pop(0)
        if self.raw_stream is not None:
            return list(self.raw_stream)
        whole = list(self._events(seen))
        if self.split_bytes is None:
            return whole
        data, size = b"".join(whole), self.split_bytes
        return [data[start : start + size] for start in range(0, len(data), size)]

    def _events(self, seen: Seen) -> Iterable[bytes]:
        if self.kind == "messages":
            return scenarios.messages_stream(self._scenario(seen))
        options = seen.payload.get("stream_options") or {}
        return scenarios.chat_stream(
            self._scenario(seen),
            include_usage=bool(options.get("include_usage")),
            usage_with_finish=self.kind == "glm",
        )

    def _scenario(self, seen: Seen) -> Scenario:
        return self.respond(seen) if self.respond else self.scenario

    async def _note(self, request: web.Request) -> Seen:
        body = await request.read()
        try:
            payload = json.loads(body)
        except ValueError:
            payload = {}
        key = request.headers.get("x-api-key") or request.headers.get(
            "authorization", ""
        ).removeprefix("Bearer ")
        headers = {name.lower(): value for name, value in request.headers.items()}
        seen = Seen(request.path, headers, payload, body, key, str(request.remote))
        self.seen.append(seen)
        self.by_key[key] += 1
        return seen

    async def _wait(self, delay_s: float) -> None:
        try:
            await asyncio.sleep(delay_s)
        except asyncio.CancelledError:
            self.closed_by_client += 1
            raise

    def _next_failure(self) -> Failure | None:
        return self.failures.pop(0) if self.failures else None

    async def _models(self, _request: web.Request) -> web.Response:
        if self.kind == "messages":
            created = "2026-01-01T00:00:00Z"
            data = [
                {"type": "model", "id": name, "display_name": name, "created_at": created}
                for name in self.models
            ]
            return web.json_response({"data": data, "has_more": False})
        entries = [
            {"id": name, "object": "model", "created": 1_760_000_000, "owned_by": "fake"}
            for name in self.models
        ]
        return web.json_response({"object": "list", "data": entries})

    async def _journal(self, _request: web.Request) -> web.Response:
        return web.json_response({"total": len(self.seen), "by_key": dict(self.by_key)})


# --- what the real providers refuse -----------------------------------------------------------


def error_body(kind: Kind, status: int, message: str = "the provider's own words") -> bytes:
    """An error in the provider's own format."""
    if kind == "messages":
        names = {
            400: "invalid_request_error",
            401: "authentication_error",
            403: "permission_error",
            404: "not_found_error",
            413: "request_too_large",
            429: "rate_limit_error",
            529: "overloaded_error",
        }
        error = {"type": names.get(status, "api_error"), "message": message}
        return json.dumps({"type": "error", "error": error, "request_id": "req_fake"}).encode()
    if kind == "glm":
        codes = {400: "1214", 401: "1000", 404: "1211", 429: "1302", 529: "1305"}
        return json.dumps(
            {"error": {"code": codes.get(status, "500"), "message": message}}
        ).encode()
    kinds: dict[int, tuple[str, str | None]] = {
        400: ("invalid_request_error", "invalid_value"),
        401: ("invalid_request_error", "invalid_api_key"),
        404: ("invalid_request_error", "model_not_found"),
        429: ("requests", "rate_limit_exceeded"),
    }
    name, code = kinds.get(status, ("server_error", None))
    told = {"message": message, "type": name, "param": None, "code": code}
    return json.dumps({"error": told}).encode()


def refusal(kind: Kind, seen: Seen) -> Failure | None:
    """What the real provider would answer to a malformed request; None when it is fine."""
    try:
        problem = (_messages_problem if kind == "messages" else _chat_problem)(seen.payload)
        if problem is None and kind == "glm":
            problem = _glm_problem(seen.payload)
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        problem = f"a field has the wrong type: {error}"
    return None if problem is None else Failure(400, error_body(kind, 400, problem))


def _messages_problem(payload: dict[str, Any]) -> str | None:
    messages = payload.get("messages")
    if not isinstance(payload.get("max_tokens"), int):
        return "max_tokens: field required"
    if not isinstance(messages, list) or not messages:
        return "messages: at least one message is required"
    if messages[0].get("role") != "user":
        return "messages: first message must use the user role"
    waiting: list[str] = []
    for place, message in enumerate(messages):
        content = message["content"]
        blocks = content if isinstance(content, list) else [{"type": "text", "text": content}]
        answered = [b["tool_use_id"] for b in blocks if b["type"] == "tool_result"]
        if set(answered) != set(waiting):
            return f"messages.{place}: tool_use ids without tool_result blocks: {waiting}"
        kinds = [b["type"] == "tool_result" for b in blocks]
        if kinds != sorted(kinds, reverse=True):
            return f"messages.{place}: tool_result blocks must come first"
        if any(b["type"] == "text" and not b["text"].strip() for b in blocks):
            return f"messages.{place}: text content blocks must contain non-whitespace text"
        waiting = [b["id"] for b in blocks if b["type"] == "tool_use"]
    if payload.get("tool_choice") and not payload.get("tools"):
        return "tool_choice: tools are required"
    return None


def _chat_problem(payload: dict[str, Any]) -> str | None:
    messages = payload.get("messages")
    if not isinstance(messages, list) or not messages:
        return "messages: must not be empty"
    waiting: list[str] = []
    for place, message in enumerate(messages):
        if message["role"] == "tool":
            if message.get("tool_call_id") not in waiting:
                return f"messages[{place}]: tool message without a preceding tool_calls"
            waiting.remove(message["tool_call_id"])
        elif waiting:
            return f"messages[{place}]: tool_calls must be followed by tool messages: {waiting}"
        waiting += [call["id"] for call in message.get("tool_calls") or []]
        if any(len(call["id"]) > 40 for call in message.get("tool_calls") or []):
            return f"messages[{place}]: string_above_max_length"
    if payload.get("tools") == []:
        return "tools: empty_array"
    if payload.get("tool_choice") is not None and not payload.get("tools"):
        return "'tool_choice' is only allowed when 'tools' are specified"
    if payload.get("stream_options") and not payload.get("stream"):
        return "stream_options is only allowed when stream is true"
    if "max_tokens" in payload and "max_completion_tokens" in payload:
        return "max_tokens and max_completion_tokens must not both be set"
    return None


def _glm_problem(payload: dict[str, Any]) -> str | None:
    if any(message["role"] == "developer" for message in payload["messages"]):
        return "messages parameter illegal"
    if not any(message["role"] == "user" for message in payload["messages"]):
        return "messages parameter illegal"
    if payload.get("tool_choice") not in (None, "auto"):
        return "Tool choice must be auto"
    if "max_completion_tokens" in payload or "stream_options" in payload:
        return "unknown parameter"
    if (payload.get("response_format") or {}).get("type") == "json_schema":
        return "response_format: only text and json_object"
    return None


async def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kind", choices=["messages", "chat", "glm"], required=True)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    provider = FakeProvider(arguments.kind)
    await provider.start(arguments.port)
    print(provider.url, flush=True)  # noqa: T201 - the parent reads it
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main())
