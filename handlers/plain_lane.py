"""The quick way in: plain model calls are served without aiohttp's requests and responses.

It knows nothing of its own about calls: who may call, what is answered and which errors are told
is said by the same code as over aiohttp. What is not plain goes there.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field

from dialects.base import Dialect
from handlers.exchange import Exchange
from handlers.plain_connection import PlainConnection, PlainLimits
from handlers.plain_exchange import PlainExchange, refusal_of
from handlers.plain_head import PlainHead, PlainHeads
from handlers.told import hidden, told
from models.errors import GatewayError
from models.ids import new_id
from services.admission import Admission, overloaded
from services.authenticator import Authenticator

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class PlainLane:
    """What the plain connections of a server share."""

    heads: PlainHeads
    answer: Callable[[Exchange, Dialect], Awaitable[None]]
    """Answers a call whose caller is known: `handlers.inference.Inference.serve`."""
    authenticator: Authenticator
    admission: Admission
    limits: PlainLimits
    connections: set[PlainConnection] = field(default_factory=set)
    refusals: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    """What those are told who cannot be served soon, by dialect, with the second it was made in."""

    def begin(
        self, connection: PlainConnection, head: PlainHead
    ) -> Coroutine[object, object, None] | None:
        """Return what answers a call; None for one that was refused at once."""
        if not self.admission.admits():
            self._turn_away(connection, head)
            return None
        self.admission.enter()
        return self._served(PlainExchange(connection, head.headers), head.dialect)

    def _turn_away(self, connection: PlainConnection, head: PlainHead) -> None:
        """Say that there is too much to do. Those who are told so within a second are told the same
        bytes: where little is left to do it with, a refusal has to be cheap."""
        if connection.is_last or "x-request-id" in head.headers:
            _refuse(PlainExchange(connection, head.headers), overloaded(), head.dialect)
            return
        now, name = int(time.time()), head.dialect.name
        made_at, refusal = self.refusals.get(name, (0, b""))
        if made_at != now:
            request_id = new_id()
            refusal = refusal_of(told(overloaded(), head.dialect, request_id), request_id)
            self.refusals[name] = now, refusal
        connection.write(refusal)

    async def _served(self, exchange: PlainExchange, dialect: Dialect) -> None:
        """Answer one call; whatever goes wrong is told to its client, or ends the connection."""
        try:
            known = self.authenticator.recognised(exchange.headers)
            if known is None:  # nobody yet: somebody may just have made this key
                known = await self.authenticator.authenticate(exchange.headers)
            exchange.principal = known
            await self.answer(exchange, dialect)
        except GatewayError as error:
            _refuse(exchange, error, dialect)
        except ConnectionError:
            pass  # the client has left
        except Exception as error:
            logger.exception("a handler failed", extra={"request_id": exchange.request_id})
            _refuse(exchange, hidden(error), dialect)
        finally:
            exchange.over()


def _refuse(exchange: PlainExchange, error: GatewayError, dialect: Dialect) -> None:
    """Tell an error; once an answer has begun only the end of the connection can."""
    if not exchange.has_begun:
        exchange.refuse(told(error, dialect, exchange.request_id))


def request_lines(dialects: Mapping[str, Dialect]) -> dict[bytes, Dialect]:
    """Return the dialects whose calls may be plain, by request line: those that read neither path
    nor query."""
    return {
        f"POST {path} HTTP/1.1".encode("ascii"): dialect
        for dialect in dialects.values()
        for path in dialect.paths
        if "{" not in path
    }
