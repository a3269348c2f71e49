"""One model call as the server sees it: what came in, and the way back to its client."""

from collections.abc import Mapping
from typing import Protocol

from models.ports import Sink
from models.principal import Principal


class Exchange(Sink, Protocol):
    """A request whose head is there and whose caller is known, and the answer that it gets.

    The answer is either `whole`, or it begins, is written and ends.
    """

    headers: Mapping[str, str]
    """Of the request: lower-case names; what comes several times is joined by commas."""
    parameters: Mapping[str, str]
    """What the route takes out of the path."""
    query: Mapping[str, str]
    principal: Principal
    request_id: str
    about: dict[str, str]
    """Headers that the answer carries even if it is an error."""

    async def read(self, max_bytes: int) -> bytes:
        """Return the whole body, inflated.

        Raises PayloadTooLarge, BadRequest with status 415 for an encoding that we do not read, and
        a GatewayError with status 408 for a body that comes too slowly.
        """
        ...

    def whole(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Answer with status 200; never waits."""
        ...

    async def begin(self, headers: Mapping[str, str]) -> None:
        """Begin a stream of status 200."""
        ...

    async def end(self) -> None:
        """Say that the stream was whole; what was written before is on its way."""
        ...
