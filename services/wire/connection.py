"""A connection, and the exchange that it carries: one at a time."""

import asyncio
import ssl
import threading
from collections.abc import Callable
from typing import Final, TypeAlias, cast

import httptools

from models.ports import Flow
from services.wire.alarm import NEVER, Alarm
from services.wire.headers import Headers

Take: TypeAlias = Callable[[bytes], bool]
"""Is given what arrives; False: no more for now."""

# Unread, of one answer: a client that does not read its answer has this in memory.
_BUFFER_BYTES: Final = 65_536
# At once. A loop that chooses for itself reads four times as much, and a client that does not read
# has that in memory, too.
_READ_BYTES: Final = 65_536
# Without a byte of the body: heads before the answer's, extensions of chunks, trailers.
_MAX_BARREN_BYTES: Final = 65_536
_MAX_LINE_BYTES: Final = 32_768
_MAX_REPEATED: Final = 128
_OK: Final = 200
_CONTINUE: Final = 100
_SWITCHED: Final = 101
_REFUSED: Final = 400
_BODILESS: Final = frozenset({204, 304})


class Malformed(Exception):
    """What came is no answer."""


class _Room(threading.local):
    """Where a thread reads to; nothing else happens between a read and the look at what it brought,
    so that all connections of a loop have it in common."""

    def __init__(self) -> None:
        self.view = memoryview(bytearray(_READ_BYTES))


_room: Final = _Room()


class Connection(asyncio.BufferedProtocol):
    """Writes requests and takes their answers apart, as they arrive.

    Between two exchanges it `is_over`. Whatever goes wrong in one ends up in `fault`, and nothing
    more comes then. The parser calls the `on_` methods.
    """

    __slots__ = (
        "_alarm",
        "_barren_bytes",
        "_ends_with_connection",
        "_gone",
        "_head",
        "_held_bytes",
        "_is_head",
        "_is_interim",
        "_is_large",
        "_is_paused",
        "_loop",
        "_parser",
        "_pieces",
        "_repeated",
        "_room",
        "_take",
        "_wait_s",
        "_waiter",
        "fault",
        "has_heard",
        "headers",
        "idle_since",
        "is_over",
        "may_stay",
        "on_body",
        "origin",
        "remember",
        "status",
        "transport",
    )

    def __init__(
        self, loop: asyncio.AbstractEventLoop, origin: str, gone: Callable[["Connection"], None]
    ) -> None:
        """`gone` is told when it is closed, whoever closed it."""
        self._loop = loop
        self._gone = gone
        self._room = _room.view
        self._pieces: list[bytes] = []
        self.on_body = self._pieces.append
        self._parser = httptools.HttpResponseParser(self)
        self._alarm = Alarm(loop, self._ring)
        self._waiter: asyncio.Future[Flow] | None = None
        self._take: Take | None = None
        self._wait_s = NEVER
        self._held_bytes = 0
        self._barren_bytes = 0
        self._repeated = 0
        self._head: dict[str, str] = {}
        self._is_head = False
        self._is_interim = False
        self._is_large = False
        """Its request may still be on its way when an answer refuses it."""
        self._is_paused = False
        self._ends_with_connection = False
        self.origin = origin
        self.transport: asyncio.Transport | None = None
        """None before it is open and after it is closed."""
        self.status = 0
        """0 until the head is there."""
        self.headers = Headers()
        self.is_over = True
        self.may_stay = True
        """Whether another request may follow."""
        self.fault: Exception | None = None
        self.has_heard = False
        """Whether a byte of the answer has come."""
        self.idle_since = 0.0
        """Loop time."""
        self.remember: Callable[[asyncio.Transport], None] | None = None
        """Is told of it when it has served first."""

    # --- what others do with it -------------------------------------------------------------

    def ask(
        self, message: bytes, body: bytes, due: float, *, is_head: bool
    ) -> asyncio.Future[Flow]:
        """Send a request and wait for the head; SILENT when none came until `due` (loop time)."""
        transport = self._opened()
        self.is_over = self._ends_with_connection = self.has_heard = False
        self.status = self._held_bytes = self._barren_bytes = self._repeated = 0
        self._is_head = is_head
        self._is_large = len(body) >= _BUFFER_BYTES
        self._head = {}
        if len(body) < _BUFFER_BYTES:
            transport.write(message + body)
        else:
            transport.writelines((message, body))
        return self._wait(due)

    def more(self, wait_s: float) -> asyncio.Future[Flow]:
        """Wait for more of the answer; SILENT when nothing came for so long."""
        self._resume()
        return self._wait(self._loop.time() + wait_s)

    def flow(self, take: Take, wait_s: float) -> asyncio.Future[Flow]:
        """Give what arrives to `take`, and tell why no more is given."""
        self._take, self._wait_s = take, wait_s
        self._resume()
        return self._wait(self._loop.time() + wait_s)

    def taken(self) -> bytes:
        """Return what has arrived of the body and was not taken yet."""
        self._held_bytes = 0
        data = b"".join(self._pieces)
        self._pieces.clear()
        return data

    def forget(self) -> None:
        """Stop giving: nobody waits any more."""
        self._waiter = self._take = None
        self._alarm.due = NEVER

    def is_reusable(self) -> bool:
        """Whether the answer came to its end and another request may follow."""
        transport = self.transport
        return (
            self.may_stay
            and self.is_over
            and transport is not None
            and not transport.is_closing()
            # An answer may come before its request is sent. What TLS holds back cannot be seen.
            and transport.get_write_buffer_size() == 0
            and not (self._is_large and self.status >= _REFUSED and self._is_secured(transport))
        )

    @staticmethod
    def _is_secured(transport: asyncio.Transport) -> bool:
        return transport.get_extra_info("ssl_object") is not None

    def rest(self) -> None:
        """Leave the exchange behind; what comes from now on was not asked for."""
        self._pieces.clear()
        self._resume()
        self.idle_since = self._loop.time()

    def abort(self) -> None:
        """Close at once. Idempotent."""
        self._fail(ConnectionAbortedError("closed by us"))
        self._stop(Flow.ENDED)

    # --- what the loop calls ----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        if sizehint > _READ_BYTES:
            # Of TLS, which hands over what it has taken off the wire already. What does not fit
            # would come in a later turn, and never where the wire is closed in between.
            self._room = memoryview(bytearray(sizehint))
        return self._room

    def buffer_updated(self, nbytes: int) -> None:
        if self.is_over:
            self._fail(Malformed("more than was asked for"))
            return
        room = self._room
        if len(room) > _READ_BYTES:
            self._room = _room.view
        self.has_heard = True
        self._barren_bytes += nbytes
        had_head = self.status
        try:
            self._parser.feed_data(room[:nbytes])
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not had_head:  # what is known to lie with its first bytes is no answer
                self.status, self.is_over = 0, False
            self._fail(error)
        if self._pieces:
            self._barren_bytes = 0
        elif self._barren_bytes > _MAX_BARREN_BYTES:
            self._fail(Malformed("much without a body"))
        take = self._take
        if take is None:
            self._hold(nbytes)
        else:
            self._push(take)

    def eof_received(self) -> None:
        self.may_stay = False
        if self.status and self._ends_with_connection and self._was_ended():
            self.is_over = True

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(error or ConnectionResetError("closed by the other side"))
        self._stop(Flow.ENDED)
        self._alarm.drop()
        self.transport = None
        self._gone(self)

    # --- what the parser calls --------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self.is_over:
            raise Malformed("more than one answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.status:  # a trailer
            return
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        head = self._head
        if key in head:
            self._repeated += 1
            if self._repeated > _MAX_REPEATED:
                raise Malformed("too many headers")
            text = f"{head[key]}, {text}"
        head[key] = text

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if self._barren_bytes > _MAX_LINE_BYTES:
            self._measure()
        if status < _OK:
            if status < _CONTINUE or status == _SWITCHED:
                raise Malformed("not a status")
            self._is_interim, self._head = True, {}
            return
        head = self._head
        coding = head.get("transfer-encoding")
        if coding is None:
            self._ends_with_connection = "content-length" not in head and status not in _BODILESS
        elif coding.lower() != "chunked":
            raise Malformed("an encoding of the transfer that was not asked for")
        self.status, self.headers, self._head = status, Headers(head), {}
        if self.remember is not None:
            self._has_served()
        if self._is_head:  # the parser does not know that no body follows
            self.is_over, self.may_stay = True, False

    def on_message_complete(self) -> None:
        if self._is_interim:
            self._is_interim = False
        elif not self.is_over:
            self.is_over = True
            self.may_stay = self._parser.should_keep_alive()

    # --- inside -----------------------------------------------------------------------------

    def _opened(self) -> asyncio.Transport:
        if self.transport is None:
            raise RuntimeError("not open")
        return self.transport

    def _wait(self, due: float) -> asyncio.Future[Flow]:
        self._waiter = waiter = self._loop.create_future()
        self._alarm.set(due)
        return waiter

    def _has_served(self) -> None:
        remember, self.remember = self.remember, None
        if remember is not None and self.transport is not None:
            remember(self.transport)

    def _hold(self, nbytes: int) -> None:
        """Keep what this read brought, and tell who waits for the head or for more."""
        self._held_bytes += nbytes
        if self.status or self.fault:
            self._stop(Flow.STOPPED)
            if self._held_bytes > _BUFFER_BYTES:
                self._pause()

    def _push(self, take: Take) -> None:
        """Give what this read brought."""
        self._alarm.due = self._loop.time() + self._wait_s
        pieces = self._pieces
        if pieces:
            data = b"".join(pieces)
            pieces.clear()
            try:
                wants_more = take(data)
            except BaseException as error:
                self._raise(error)
                return
            if not wants_more:
                self._stop(Flow.STOPPED)
                self._pause()
                return
        if self.is_over or self.fault:
            self._stop(Flow.ENDED)

    def _stop(self, outcome: Flow) -> None:
        """Wake who waits."""
        waiter, self._waiter = self._waiter, None
        self._take, self._alarm.due = None, NEVER
        if waiter is not None and not waiter.done():
            waiter.set_result(outcome)

    def _raise(self, error: BaseException) -> None:
        waiter = self._waiter
        self.forget()
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)
        self.abort()

    def _ring(self) -> None:
        self._stop(Flow.SILENT)

    def _fail(self, error: Exception) -> None:
        """Close; what came before stays readable, and a whole answer is one."""
        self.may_stay = False
        if not self.is_over and self.fault is None:
            self.fault = error
        if self.transport is not None:
            self.transport.abort()

    def _pause(self) -> None:
        if not self._is_paused and self.transport is not None and not self.transport.is_closing():
            self._is_paused = True
            self.transport.pause_reading()

    def _resume(self) -> None:
        if self._is_paused:
            self._is_paused = False
            if self.transport is not None and not self.transport.is_closing():
                self.transport.resume_reading()

    def _measure(self) -> None:
        """Refuse a head that is too large; asked only where it may be."""
        lines = [len(name) + len(value) for name, value in self._head.items()]
        if max(lines, default=0) > _MAX_LINE_BYTES or sum(lines) > _MAX_BARREN_BYTES:
            raise Malformed("a head that is too large")

    def _was_ended(self) -> bool:
        """Whether the other side said that this is the end; in TLS, anybody can cut the wire."""
        tls = self._opened().get_extra_info("ssl_object")
        if tls is None:
            return True
        try:
            tls.read(1)
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError:
            return True
        return True
