"""TLS with providers and proxies: verified, and resumed where it was spoken before."""

import asyncio
import ssl
from collections import OrderedDict
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

_MAX_SESSIONS: Final = 1024


@dataclass(slots=True)
class _Heading:
    """Where a connection that is being opened leads, and through which way."""

    place: str


# The event loop begins handshakes, and knows nothing of sessions. uvloop begins one inside a tunnel
# with the variables of the time when the tunnel's own connection was opened: so what changes is in
# the object, and not the variable.
_heading: ContextVar[_Heading | None] = ContextVar("_heading", default=None)


def head_for(place: str) -> None:
    """Say where the connection leads that this task opens now."""
    _heading.set(_Heading(place))


def head_on_to(place: str) -> None:
    """Say where the connection leads further that this task opened last."""
    heading = _heading.get()
    if heading is not None:
        heading.place = place


class ResumingContext(ssl.SSLContext):
    """Remembers the last session of each place, and offers it at the next handshake there.

    Only there: a session would show a provider that two ways lead to the same house.
    """

    sessions: OrderedDict[str, ssl.SSLSession]

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """Begin a handshake, with a session of the place that it leads to."""
        heading = _heading.get()
        if heading is not None:
            session = self.sessions.get(heading.place)
        return super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)

    def keep(self, place: str, transport: asyncio.Transport) -> None:
        """Remember the session of a connection that has served; before, there may be none."""
        session = transport.get_extra_info("ssl_object").session
        if session is not None and session.has_ticket:
            self.sessions[place] = session
            self.sessions.move_to_end(place)
            if len(self.sessions) > _MAX_SESSIONS:
                self.sessions.popitem(last=False)


def client_context(authorities: Path | None = None) -> ResumingContext:
    """Return a context that verifies as Python does by default.

    `authorities`: a file of certificates to trust, instead of the system's.
    """
    default = ssl.create_default_context(cafile=authorities)
    # So that what is the default stays decided in one place, which is not here.
    default.__class__ = ResumingContext
    context = cast("ResumingContext", default)
    context.sessions = OrderedDict()
    context.set_alpn_protocols(["http/1.1"])
    return context


_made: list[ResumingContext] = []


async def shared_context() -> ResumingContext:
    """Return the context of the process. It is made when it is needed first: that takes a moment,
    and memory."""
    if not _made:
        _made.append(await asyncio.to_thread(client_context))
    return _made[0]
