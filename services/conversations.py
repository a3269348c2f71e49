"""Requests of the Responses format that go on from a stored answer, and answers to be stored.

A provider's account knows nothing of what another one answered, so what a request refers to is
written out before any provider is chosen: the items that led to the earlier answer, its own items,
then the new ones.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

from dialects import sse
from dialects.fields import dumps, parse_lenient
from models.errors import BadRequest, ErrorKind, NotFound
from models.exchange import ProxyRequest
from models.json_types import Json, JsonObject
from models.ports import Sink
from services.reply import Reply, Stream
from services.stored_responses import StoredResponse, StoredResponses

_PREVIOUS: Final = "previous_response_id"
_COMPLETE: Final = ("completed", "incomplete")
_ENDS: Final = (b"response.completed", b"response.incomplete")
_LIFECYCLE: Final = (*_ENDS, b"response.created", b"response.in_progress", b"response.failed")
_REPLAYED: Final = ("message", "function_call", "custom_tool_call", "reasoning")
"""Items that stand for themselves without their id; a provider looks others up by it."""


class Conversations:
    """What clients of the Responses format leave with us between two requests."""

    def __init__(self, stored: StoredResponses) -> None:
        self._stored = stored

    async def recall(self, request: ProxyRequest) -> ProxyRequest:
        """Return the request with everything written out that it refers to.

        Raises BadRequest for an answer that is not known, NotFound for an item, PayloadTooLarge
        for too much of them, StorageUnavailable when nobody knows.
        """
        payload = request.payload
        previous = payload.get(_PREVIOUS)
        items = input_items(payload)
        if previous is None and all(_referred(item) is None for item in items):
            return request
        told = await self._resolved(request.key_id, items)
        if previous is not None:
            told = [*await self._earlier(request.key_id, previous), *told]
        payload = {key: value for key, value in payload.items() if key != _PREVIOUS}
        payload["input"] = told
        return replace(request, payload=payload, body=dumps(payload))

    async def keep(self, asked: ProxyRequest, recalled: ProxyRequest, reply: Reply) -> Reply:
        """Return the reply; what it brings is stored before its last piece is given.

        `asked` is the request as it came. A client that wants nothing stored pays for nothing.
        """
        is_wanted = self._stored.keeping.is_on and asked.payload.get("store") is not False
        previous = asked.payload.get(_PREVIOUS)
        if not is_wanted and previous is None:
            return reply
        keeper = _Keeper(self._stored, recalled, previous, is_wanted=is_wanted)
        if reply.stream is None:
            reply.body = await keeper.whole(reply.body)
        else:
            reply.stream = keeper.stream(reply.stream)
        return reply

    async def _earlier(self, key_id: str, previous: Json) -> list[Json]:
        if not isinstance(previous, str):
            raise BadRequest(f"{_PREVIOUS}: expected a string", path=_PREVIOUS)
        try:
            stored = await self._stored.get(key_id, previous)
        except NotFound:
            raise BadRequest(
                f"Previous response with id {previous[:128]!r} not found.",
                kind=ErrorKind.RESPONSE_NOT_FOUND,
                path=_PREVIOUS,
            ) from None
        return [*stored.input, *_replayed(stored.output)]

    async def _resolved(self, key_id: str, items: Sequence[Json]) -> list[Json]:
        """Return the items, with what they refer to in the place of references.

        No provider sees one: it would find what another key's caller left with the same account.
        """
        wanted = [item_id for item in items if (item_id := _referred(item)) is not None]
        known = await self._stored.items(key_id, wanted)
        told: list[Json] = []
        for item in items:
            item_id = _referred(item)
            if item_id is None:
                told.append(item)
            elif item_id in known:
                told += _replayed([known[item_id]])
            else:
                raise NotFound(f"Item with id '{item_id[:128]}' not found.", path="input")
        return told


class _Keeper:
    """Looks at one answer on its way to the client."""

    def __init__(
        self, stored: StoredResponses, request: ProxyRequest, previous: Json, *, is_wanted: bool
    ) -> None:
        self._stored = stored
        self._key_id = request.key_id
        self._input = input_items(request.payload) if is_wanted else []
        self._previous = previous
        self._is_wanted = is_wanted
        self._marks = _ENDS if previous is None else _LIFECYCLE

    async def whole(self, body: bytes) -> bytes:
        response = parse_lenient(body)
        if response is None or response.get("object") != "response":
            return body
        told = self._told(response)
        await self._keep(told)
        return body if told is response else _rewritten(told, body)

    def stream(self, stream: Stream) -> Stream:
        """Return the stream with us between it and its client."""

        async def kept(sink: Sink) -> None:
            await stream(_KeepingSink(self, sink))

        return kept

    def is_marked(self, frames: bytes) -> bool:
        """Whether some of these frames may tell of the answer as a whole."""
        return any(mark in frames for mark in self._marks)

    async def seen(self, frames: bytes) -> bytes:
        """Take whole frames that are marked; return what the client gets."""
        parser = sse.Parser(limit_bytes=len(frames))
        told: list[bytes] = []
        for name, data in (*parser.feed(frames), *parser.end()):
            told.append(sse.frame(await self._event(data), name or None))
        return b"".join(told) if told and self._previous is not None else frames

    async def _event(self, data: bytes) -> bytes:
        event = parse_lenient(data)
        response = event.get("response") if event is not None else None
        if event is None or not isinstance(response, dict):
            return data
        told = self._told(response)
        await self._keep(told)
        return data if told is response else _rewritten({**event, "response": told}, data)

    def _told(self, response: JsonObject) -> JsonObject:
        """Return the answer's object, which names the answer that it goes on from."""
        return response if self._previous is None else {**response, _PREVIOUS: self._previous}

    async def _keep(self, response: JsonObject) -> None:
        if self._is_wanted and response.get("status") in _COMPLETE:
            await self._stored.put(self._key_id, StoredResponse(self._input, response))


class _KeepingSink:
    """Holds back what tells of the answer as a whole until it is stored."""

    def __init__(self, keeper: _Keeper, sink: Sink) -> None:
        self._keeper = keeper
        self._sink = sink
        self._held: list[bytes] = []

    def write(self, data: bytes) -> bool:
        if self._held or self._keeper.is_marked(data):
            self._held.append(data)
            return False
        return self._sink.write(data)

    async def drain(self) -> None:
        held, self._held = self._held, []
        for data in held:
            told = await self._keeper.seen(data) if self._keeper.is_marked(data) else data
            self._sink.write(told)
        await self._sink.drain()


def input_items(payload: JsonObject) -> list[Json]:
    """Return a request's input as a list; what is neither text nor list gives an empty one."""
    given = payload.get("input")
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": given}]
    return list(given) if isinstance(given, list) else []


def _referred(item: Json) -> str | None:
    """Return the id that an item refers to, None when it stands for itself."""
    if not isinstance(item, dict) or not isinstance(item_id := item.get("id"), str):
        return None
    kind = item.get("type")
    is_reference = kind == "item_reference" or (kind is None and "role" not in item)
    return item_id if is_reference else None


def _rewritten(payload: JsonObject, body: bytes) -> bytes:
    """Return the payload as it is told now; `body`, as it came, where it cannot be written."""
    with suppress(BadRequest):  # nested too deeply
        return dumps(payload)
    return body


def _replayed(output: Sequence[JsonObject]) -> list[Json]:
    """Return an answer's items as input for whichever account serves next.

    It would look ids up and find nothing. Reasoning without its encrypted content is nothing but
    its id.
    """
    replayed: list[Json] = []
    for item in output:
        kind = item.get("type")
        if kind == "reasoning" and not item.get("encrypted_content"):
            continue
        keeps_id = kind not in _REPLAYED
        replayed.append({k: value for k, value in item.items() if keeps_id or k != "id"})
    return replayed
