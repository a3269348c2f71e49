"""What is fed with bent bodies, and what may come of it."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import orjson

from dialects import DIALECTS
from dialects.base import Dialect
from dialects.fields import dumps, parse_lenient, parse_object
from dialects.sse import Parser, boundary, frame
from models.chat import ChatResponse
from models.errors import BadRequest, UpstreamError
from models.events import Failed, Finish, check
from models.json_types import Json, JsonObject
from providers import BUILTIN
from services.relay import RawRelay
from tests.dialects.pairs.formats import CONTEXTS, FORMATS, profile
from tests.fuzz import seeds
from tests.fuzz.answers import answer
from tests.fuzz.mutations import bent, bent_bytes, split
from tests.losses.outcome import TARGETS, planned


@dataclass(frozen=True, slots=True)
class Target:
    """One thing to feed."""

    name: str
    run: Callable[[random.Random], None]


def _object(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {"x": value}


def _bent(bodies: Sequence[Json], chance: random.Random) -> JsonObject:
    """Return a bent body, as the parser of bodies gives it."""
    bent_body = _object(bent(chance.choice(bodies), chance, bodies))
    return parse_lenient(_dumped(bent_body)) or {}


def _dumped(value: Json) -> bytes:
    try:
        return dumps(value)
    except BadRequest:  # nested too deeply to be written
        return b"{}"


# --- requests ---------------------------------------------------------------------------------


def _request(dialect: Dialect, bodies: Sequence[Json], chance: random.Random) -> None:
    """A request goes to a provider, or its client is told why not."""
    raw = _dumped(_object(bent(chance.choice(bodies), chance, bodies)))
    if chance.random() < 0.1:
        raw = bent_bytes(raw, chance)
    try:
        payload = parse_object(raw)
        dialect.inspect(raw, payload, {"model": "m", "method": "generateContent"})
    except BadRequest:
        return
    for target in chance.sample(TARGETS, 2):
        try:
            plan = planned(dialect, target, payload, strict=chance.random() < 0.1)
        except BadRequest:
            continue
        orjson.loads(plan.body)
        assert plan.dropped_names.isascii()


def _count(dialect: Dialect, bodies: Sequence[Json], chance: random.Random) -> None:
    """A request of another operation is read and written again, or refused."""
    payload = _bent(bodies, chance)
    try:
        wanted = dialect.decode_request(payload)
        for other in DIALECTS.values():
            if other.operation is dialect.operation:
                dumps(other.encode_request(wanted, profile(FORMATS[0])).payload)
    except BadRequest:
        pass


# --- answers ----------------------------------------------------------------------------------


def _answer(dialect: Dialect, bodies: Sequence[Json], chance: random.Random) -> None:
    """A whole answer reaches every client, or is an error of the provider."""
    payload = _bent(bodies, chance)
    dialect.read_usage(payload)
    dialect.read_error(payload)
    try:
        answer = dialect.decode_response(payload)
    except UpstreamError:
        return
    _tell(answer)


def _tell(answer: ChatResponse) -> None:
    for client in FORMATS:
        try:
            orjson.loads(dumps(client.encode_response(answer, CONTEXTS[client.name])))
        except BadRequest as error:  # the writer of JSON says so of what no vendor would send
            assert "nested" in error.message  # noqa: PT017


def _stream(dialect: Dialect, told: Sequence[list[Json]], chance: random.Random) -> None:
    """A stream ends in an answer or in an error, for every client, and so it does raw."""
    frames = list(chance.choice(told))
    donors = [one for stream in told for one in stream]
    for _ in range(chance.randint(0, 2)):
        at = chance.randrange(len(frames))
        frames[at] = bent(frames[at], chance, donors)
    raw = b"".join(_framed(dialect, payload) for payload in frames)
    if dialect.name == "chat":
        raw += b"data: [DONE]\n\n"
    raw = bent_bytes(raw, chance)
    decoder = dialect.decoder(profile(dialect))
    events = [event for data in split(raw, chance) for event in decoder.feed(data)]
    events = check([*events, *decoder.end()])
    assert isinstance(events[-1], Finish | Failed)
    for client in FORMATS:
        encoder = client.encoder(CONTEXTS[client.name])
        b"".join([encoder.encode(event) for event in events])
    relay = RawRelay(dialect, dialect.sniffer(hide_usage=chance.random() < 0.5), "request_1")
    out = b"".join([relay.feed(data) for data in split(raw, chance)])
    assert out + relay.finish()
    assert relay.ended


def _framed(dialect: Dialect, payload: Json) -> bytes:
    kind = payload.get("type") if isinstance(payload, dict) else None
    named = dialect.name in ("messages", "responses") and isinstance(kind, str)
    name = str(kind).encode("utf-8", "replace").replace(b"\n", b"") if named else None
    return frame(_dumped(payload), name)


# --- the rest ---------------------------------------------------------------------------------


def _error(dialect: Dialect, bodies: Sequence[Json], chance: random.Random) -> None:
    """What a provider says of its failure becomes an error of ours for every client."""
    body = _dumped(bent(chance.choice(bodies), chance, bodies))
    if chance.random() < 0.2:
        body = bent_bytes(body, chance)
    headers = {
        "retry-after": chance.choice(("1", "-1", "x", "1e400", "Fri, 99 Foo 2020", "٣")),
        "x-ratelimit-reset-requests": chance.choice(("1s", "1m", "", "∞")),
    }
    for provider in BUILTIN:
        status = chance.choice((200, 400, 401, 403, 404, 413, 429, 500, 503, 529, 600))
        error = provider.diagnose(dialect, status, headers, body)
        for client in DIALECTS.values():
            orjson.loads(client.encode_error(error, "request_1").body)
            client.encode_stream_error(error, "request_1")


def _models(dialect: Dialect, bodies: Sequence[Json], chance: random.Random) -> None:
    """A model list is read as far as it is one."""
    models = dialect.read_models(_bent(bodies, chance))
    for client in FORMATS:
        dumps(client.encode_models(models))


def _frames(chance: random.Random) -> None:
    """However a stream is cut, its events are the same, and whole frames stay whole."""
    data = b"".join(
        chance.choice((b"data: x\n\n", b"event: a\ndata:b\r\n\r\n", b": c\n\n", b"data", b"\r"))
        for _ in range(chance.randint(0, 12))
    )
    data = bent_bytes(data, chance)
    whole, pieces = Parser(), Parser()
    at_once = [*whole.feed(data), *whole.end()]
    cut = [event for piece in split(data, chance) for event in pieces.feed(piece)]
    assert [*cut, *pieces.end()] == at_once
    assert 0 <= boundary(data) <= len(data)


def _envelope(bodies: Sequence[list[Json]], chance: random.Random) -> None:
    """What is around an answer comes off, and what is no envelope passes."""
    for provider in BUILTIN:
        if provider.envelope is None:
            continue
        frames = [{"response": one, "traceId": "t"} for one in chance.choice(bodies)]
        bent_frames = [bent(one, chance) if chance.random() < 0.3 else one for one in frames]
        provider.envelope.unwrap(bent_bytes(_dumped(bent_frames[0]), chance))
        raw = bent_bytes(b"".join(frame(_dumped(one)) for one in bent_frames), chance)
        unwrapper = provider.envelope.unwrapper()
        _ = b"".join([unwrapper.feed(data) for data in split(raw, chance)]) + unwrapper.end()


def targets() -> Iterator[Target]:
    """Yield everything that reads what others wrote."""
    for dialect in FORMATS:
        name = dialect.name
        yield Target(f"{name} requests", partial(_request, dialect, seeds.requests(dialect)))
        yield Target(f"{name} answers", partial(_answer, dialect, seeds.answers(dialect)))
        yield Target(f"{name} streams", partial(_stream, dialect, seeds.streams(dialect)))
    for dialect in DIALECTS.values():
        told: list[Json] = [
            orjson.loads(dialect.encode_error(error, "id").body) for error in seeds.errors()
        ]
        yield Target(f"{dialect.name} errors", partial(_error, dialect, told))
        models: list[Json] = [dialect.encode_models(seeds.MODELS)]
        yield Target(f"{dialect.name} models", partial(_models, dialect, models))
        if dialect not in FORMATS:
            family = dialect.name.partition(".")[0]
            bodies = [body for one in FORMATS if one.name == family for body in seeds.requests(one)]
            bodies = bodies or [{"model": "m", "prompt": "Hi", "input": ["Hi"], "suffix": "x"}]
            yield Target(f"{dialect.name} requests", partial(_count, dialect, bodies))
    yield Target("frames", _frames)
    yield Target("answers on the wire", answer)
    yield Target("envelopes", partial(_envelope, [seeds.streams(one)[1] for one in FORMATS]))


TARGETS_BY_NAME: Final[Mapping[str, Target]] = {target.name: target for target in targets()}
