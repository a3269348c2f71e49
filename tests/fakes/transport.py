"""A transport that answers from a script, on a clock that moves only when somebody waits."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from models.egress import EgressProxy
from models.errors import StreamBroken, UpstreamError
from models.exchange import UpstreamRequest
from models.ports import Flow
from tests.fakes.clock import FakeClock

JSON = {"content-type": "application/json"}
SSE = {"content-type": "text/event-stream"}


@dataclass(frozen=True)
class Silence:
    """Nothing comes for so long."""

    seconds: float


Piece: TypeAlias = bytes | Silence | Exception


@dataclass(frozen=True)
class Answer:
    """One answer: its head, and its body in the pieces in which it arrives."""

    status: int = 200
    pieces: Sequence[Piece] = ()
    headers: Mapping[str, str] = field(default_factory=lambda: JSON)


def whole(body: bytes, status: int = 200, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, [body], {**JSON, **named})


def streamed(pieces: Iterable[Piece]) -> Answer:
    return Answer(pieces=list(pieces), headers=SSE)


class FakeResponse:
    """An answer on its way."""

    def __init__(self, answer: Answer, clock: FakeClock) -> None:
        self.status = answer.status
        self.headers = answer.headers
        self._left = list(answer.pieces)
        self._clock = clock
        self.is_closed = False

    @property
    def was_read(self) -> bool:
        """Whether it was read to its end, so that its connection can be used again."""
        return not self._left

    @property
    def left(self) -> int:
        """Pieces that nobody has read yet."""
        return len(self._left)

    async def read(self, limit_bytes: int) -> bytes:
        body = b""
        while data := await self.read_some(float("inf")):
            body += data
        if len(body) > limit_bytes:
            raise StreamBroken("larger than allowed")
        return body

    async def read_some(self, wait_s: float) -> bytes | None:
        if self.is_closed:
            raise StreamBroken("closed")
        while self._left:
            match self._left.pop(0):
                case Silence(seconds) if seconds > wait_s:
                    self._clock.advance(max(wait_s, 0.0))
                    self._left.insert(0, Silence(seconds - max(wait_s, 0.0)))
                    return None
                case Silence(seconds):
                    self._clock.advance(seconds)
                case Exception() as error:
                    raise error
                case bytes() as data:
                    return data
        return b""

    async def flow(self, take: Callable[[bytes], bool], wait_s: float) -> Flow:
        while data := await self.read_some(wait_s):
            try:
                wants_more = take(data)
            except BaseException:
                self.close()
                raise
            if not wants_more:
                return Flow.STOPPED
        return Flow.SILENT if data is None else Flow.ENDED

    def close(self) -> None:
        self.is_closed = True


@dataclass(frozen=True)
class Sent:
    """A request as it left."""

    key: str
    """The credential that signed it."""
    egress_id: str | None
    request: UpstreamRequest
    first_byte_timeout_s: float


class FakeTransport:
    """Answers each request as `script` says, and keeps what was sent and what was opened."""

    def __init__(self, clock: FakeClock, script: Callable[[Sent], Answer | UpstreamError]) -> None:
        self.script = script
        self.sent: list[Sent] = []
        self.responses: list[FakeResponse] = []
        self.patch: Callable[[FakeResponse], None] = lambda _: None
        """Changes each response before it is handed out."""
        self._clock = clock

    async def send(
        self, request: UpstreamRequest, egress: EgressProxy | None, *, first_byte_timeout_s: float
    ) -> FakeResponse:
        headers = request.headers
        key = headers.get("x-api-key") or headers.get("x-goog-api-key")
        key = key or headers["authorization"].removeprefix("Bearer ")
        egress_id = egress.id if egress is not None else None
        sent = Sent(key, egress_id, request, first_byte_timeout_s)
        self.sent.append(sent)
        answer = self.script(sent)
        if isinstance(answer, Exception):
            raise answer
        response = FakeResponse(answer, self._clock)
        self.patch(response)
        self.responses.append(response)
        return response

    @property
    def keys(self) -> list[str]:
        """Who was asked, in order."""
        return [sent.key for sent in self.sent]

    @property
    def all_closed(self) -> bool:
        return all(response.is_closed for response in self.responses)
