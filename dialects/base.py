"""What a wire format must be able to do. Codecs are pure: bytes and JSON in, data out, no IO.

A dialect reads and writes requests, whole answers, streams and errors, in both directions.
Two ways lead through it:

* raw: the client's dialect is the provider's. Bytes pass untouched; a `Sniffer` looks on.
* translated: `decode_request` -> ChatRequest -> `encode_request` on the way up,
  `Decoder` -> events -> `Encoder` on the way down.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol, TypeAlias

from models.chat import ChatRequest, ChatResponse
from models.errors import ErrorKind, GatewayError, UpstreamError
from models.events import Event
from models.json_types import JsonObject
from models.profile import Profile
from models.record import record
from models.session import Session
from models.usage import Usage


class Operation(StrEnum):
    """What a client wants. A request is translated only between dialects of one operation."""

    GENERATE = "generate"
    COUNT = "count"
    """Count the input tokens of a request; the answer is a ChatResponse with nothing but usage."""
    EMBED = "embed"


NO_ADDRESS: Final[Mapping[str, str]] = MappingProxyType({})


class Inspected(NamedTuple):
    """What the raw path must know of a request, after its strict checks."""

    model: str
    stream: bool


@record(frozen=True, slots=True)
class Encoded:
    """A request in a provider's format, with what the way back must know."""

    payload: JsonObject
    dropped: tuple[str, ...] = ()
    """Fields that could not be carried; `Dialect.spellings` tells how the client wrote them."""
    stops: tuple[str, ...] = ()
    """Stop sequences that the gateway must apply itself to the answer's text."""
    tool_names: Mapping[str, str] = field(default_factory=dict)
    """Tool names changed for the provider: its name -> the client's."""
    properties: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Properties of tools changed for the provider: its name of the tool -> (its name of the
    property -> the client's)."""


Adapt: TypeAlias = Callable[[JsonObject, Profile], Encoded]
"""Edits a payload that is already in the provider's dialect to what this provider accepts
(GLM behind the Chat format). It returns a new payload and never changes its argument. Where the
dialect names the model in the body, it sets it to `Profile.model`: the payload may come from the
client as it is."""


@record(frozen=True, slots=True)
class ReplyContext:
    """What an answer's encoder must know of the request it answers."""

    request: ChatRequest
    reply_id: str
    """Id of the request: the random part (24 or more base62/hex characters) of ids that the
    gateway makes, and what an error inside a stream names."""
    created: int
    """Epoch seconds, for answers whose upstream does not say."""


@record(frozen=True, slots=True)
class ErrorBody:
    """A complete error answer in a client's dialect."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    """`retry-after` (whole seconds, rounded up) and `x-should-retry` where they apply."""


@record(frozen=True, slots=True)
class ErrorFacts:
    """What a provider's error body says, in neutral words."""

    kind: ErrorKind | None
    """None when the body says nothing that the status does not."""
    message: str
    code: str | None = None
    param: str | None = None


@record(frozen=True, slots=True)
class ModelEntry:
    """One model of a model list."""

    id: str
    provider_id: str
    created: int = 0
    display_name: str | None = None


class Decoder(Protocol):
    """Reads a provider's stream, however it is cut, into events that obey `models.events`."""

    def feed(self, data: bytes) -> Sequence[Event]:
        """Return the events that `data` completes. Never raises: garbage becomes Failed."""
        ...

    def end(self) -> Sequence[Event]:
        """The stream ended. Without its end marker the last event is Failed."""
        ...


class Encoder(Protocol):
    """Writes events as a client's stream."""

    def encode(self, event: Event) -> bytes:
        """Return the frames of one event, possibly none. After Finish or Failed, nothing."""
        ...


class Sniffer(Protocol):
    """Looks at a raw stream without changing it, but for one frame it was told to drop."""

    ended: bool
    """The end marker was seen."""
    finished: bool
    """The answer told why it stops; only its end marker may still be missing."""
    started: bool
    """Content that a user would miss was seen: from here on nothing is retried."""
    error: UpstreamError | None
    """An error event inside the stream (decoded facts; blame ACCOUNT_MODEL until diagnosed)."""

    @property
    def usage(self) -> Usage:
        """What the stream told of it so far."""
        ...

    def feed(self, frames: bytes) -> bytes:
        """Take whole frames (up to a blank line) and return those to forward. Never raises.

        The very same object is returned when nothing was dropped.
        """
        ...


class Dialect(Protocol):
    """A wire format."""

    name: str
    operation: Operation
    paths: tuple[str, ...]
    """Paths that clients post to, in aiohttp's syntax, such as `/v1/messages`."""
    models_path: str
    """Path of the model list below a base URL."""
    ping: bytes
    """A frame that keeps a client waiting, legal between any two frames."""
    spellings: Mapping[str, tuple[str, ...]]
    """How this format writes what encoders drop, for `x-aigateway-dropped`: see `spelled`."""
    answer_fields: frozenset[str]
    """Fields of which every whole answer has at least one."""
    forwarded_headers: frozenset[str]
    """Lower-case client headers that go on to a provider of the same dialect."""

    def upstream_path(self, model: str, *, stream: bool) -> str:
        """What is appended to a provider's base URL, such as `/v1/messages`."""
        ...

    # requests
    def inspect(
        self, body: bytes, payload: JsonObject, address: Mapping[str, str] = NO_ADDRESS
    ) -> Inspected:
        """Check what is routed and billed: `model`, `stream`, token limits, `messages`.

        `address`: what the client's path said, by the names in `paths`; Gemini's clients name
        model and method there. Raises BadRequest, also for a key of these that occurs twice in
        `body`.
        """
        ...

    def prepare_raw(
        self, body: bytes, payload: JsonObject, model: str, *, ask_usage: bool
    ) -> tuple[bytes, bool]:
        """Return the body for the raw path and whether usage was asked for on our account.

        Only the bytes of the model name (when it differs) and, for Chat streams with
        `ask_usage`, `stream_options` are spliced; the very same object comes back otherwise.
        """
        ...

    def session(self, payload: JsonObject) -> Session:
        """Return what a client's request says of its conversation. Never raises; cheap."""
        ...

    def decode_request(self, payload: JsonObject) -> ChatRequest:
        """Read a client's request. Raises BadRequest or Unrepresentable, never anything else."""
        ...

    def encode_request(self, request: ChatRequest, profile: Profile) -> Encoded:
        """Write a request for a provider. Raises Unrepresentable for content it cannot carry."""
        ...

    # answers
    def decode_response(self, payload: JsonObject) -> ChatResponse:
        """Read a provider's whole answer. Raises UpstreamError for garbage or an error in it."""
        ...

    def encode_response(self, response: ChatResponse, context: ReplyContext) -> JsonObject:
        """Write a whole answer for a client."""
        ...

    def decoder(self, profile: Profile) -> Decoder: ...

    def encoder(self, context: ReplyContext) -> Encoder: ...

    def sniffer(self, *, hide_usage: bool) -> Sniffer:
        """`hide_usage`: drop the usage frame that only we asked for."""
        ...

    def read_usage(self, payload: JsonObject) -> Usage:
        """Return the usage of a whole answer; never raises."""
        ...

    # errors
    def read_error(self, payload: JsonObject) -> ErrorFacts | None:
        """Read a provider's error body; None when it is none."""
        ...

    def encode_error(self, error: GatewayError, request_id: str) -> ErrorBody:
        """Write an error answer with the status that this dialect's clients expect."""
        ...

    def encode_stream_error(self, error: GatewayError, request_id: str) -> bytes:
        """Write the frame that ends a broken stream; nothing may follow it."""
        ...

    # models
    def read_models(self, payload: JsonObject) -> list[ModelEntry]:
        """Read a provider's model list (provider_id left empty); unknown shapes give []."""
        ...

    def encode_models(self, models: Sequence[ModelEntry]) -> JsonObject: ...

    def encode_model(self, model: ModelEntry) -> JsonObject: ...
