"""Several worker processes that share one port: forked, forked anew, stopped together.

The kernel spreads connections over the workers' listening sockets (SO_REUSEPORT). The supervisor
serves nothing itself; it sleeps until a worker ends or a signal comes. Whatever it has imported
before the first fork, its workers have in common and need not import.

So that a fork copies nothing that is half done, the supervisor has one thread, no event loop and no
connection, and takes its signals one after the other instead of being interrupted by them.
"""

import contextlib
import ctypes
import logging
import math
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from models.ids import new_id

logger = logging.getLogger(__name__)

WORKER_VARIABLE = "AIGATEWAY_WORKER"
"""Tells a process that it is a worker, and which one."""
CREW_VARIABLE = "AIGATEWAY_WORKER_CREW"
"""Tells workers who belongs together: those that one supervisor keeps, until it ends."""

EXIT_CONFIGURATION = 2

_PR_SET_PDEATHSIG = 1
_STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})
_AWAITED = _STOP_SIGNALS | {signal.SIGCHLD, signal.SIGALRM}
# Ended by itself after our signal, or by it before the worker could catch it.
_ENDED_ON_REQUEST = frozenset({0, -signal.SIGTERM, -signal.SIGINT})


@dataclass(frozen=True, slots=True)
class Pauses:
    """How long the supervisor waits, in seconds."""

    first_s: float = 0.5
    """Before a worker that died is started again; doubles with each death."""
    longest_s: float = 30.0
    stable_s: float = 60.0
    """A worker that lived this long starts again from the first pause."""
    stop_s: float = 330.0
    """From the signal to stop until what still runs is killed."""
    hurry_s: float = 4.0
    """The same, from a second signal."""


def run_workers(count: int, work: Callable[[int], int], *, pauses: Pauses | None = None) -> int:
    """Fork `count` workers and keep them until SIGTERM or SIGINT; return the exit code.

    Returns in each process: in a worker, what `work` of its number returns. A worker finds the
    number in AIGATEWAY_WORKER, too. The first signal is passed on and the workers are waited for; a
    second one is passed on and leaves them little time, a third none.
    0: all ended on request. 2: a worker refused its configuration at the start. 1: some had to be
    killed or failed while stopping.
    """
    try:
        with _taking_signals():
            return _Crew(count, pauses or Pauses()).run()
    except _Born as born:
        index = born.index
    # Out here nothing is left of the supervisor, and what `work` raises is told as anybody's.
    return work(index)


def reserve_port(host: str, port: int) -> socket.socket:
    """Bind the port without listening, so that it stays ours while workers come and go.

    Port 0 becomes a free one here, the same for all workers. Raises OSError when it is taken,
    also by another gateway that would be willing to share it.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
    reserved = socket.socket(family, kind, protocol)
    try:
        # Connections of a gateway that just ended, still in TIME_WAIT, must not count as taken.
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind(address)
    except OSError:
        reserved.close()
        raise
    return reserved


class _Born(Exception):
    """This process is a worker now, and leaves the supervisor's code."""

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.index = index


@dataclass(slots=True)
class _Place:
    """What is known of one worker, from the first that had its number on."""

    index: int
    pause_s: float
    due_at: float = 0.0
    """When it is to be started, on the monotonic clock."""
    started_at: float = 0.0
    pid: int | None = None
    is_first: bool = True


@dataclass(slots=True)
class _Crew:
    """The workers of one supervisor."""

    count: int
    pauses: Pauses
    id: str = field(default_factory=new_id)
    exit_code: int = 0
    places: list[_Place] = field(default_factory=list)
    signals: int = 0
    """Requests to stop so far."""
    kill_at: float = math.inf

    def run(self) -> int:
        self.places = [_Place(index, self.pauses.first_s) for index in range(self.count)]
        try:
            while self._is_needed():
                self._start_due()
                self._take(_next_signal(self._next_due() - time.monotonic()))
                self._collect()
                if time.monotonic() >= self.kill_at:
                    logger.error("workers did not stop in time and are killed")
                    self._kill()
            _forget_signals()
        finally:
            self._send_all(signal.SIGKILL)  # nobody is left, unless we failed ourselves
        return self.exit_code

    def _is_needed(self) -> bool:
        return not self.signals or any(place.pid is not None for place in self.places)

    def _next_due(self) -> float:
        if self.signals:
            return self.kill_at
        return min((one.due_at for one in self.places if one.pid is None), default=math.inf)

    def _take(self, number: int) -> None:
        if number not in _STOP_SIGNALS:
            return
        name = signal.Signals(number).name
        if self.signals == 0:
            logger.info("stopping workers", extra={"signal": name})
            self._stop(number)
            return
        self.signals += 1
        if self.signals > 2:
            self._kill()
            return
        # They tell their clients, and write what they know.
        logger.warning("second signal: workers hurry", extra={"signal": name})
        self._send_all(number)
        self.kill_at = time.monotonic() + self.pauses.hurry_s

    def _stop(self, number: int) -> None:
        self.signals += 1
        self.kill_at = time.monotonic() + self.pauses.stop_s
        self._send_all(number)

    def _kill(self) -> None:
        self.exit_code = self.exit_code or 1
        self.kill_at = math.inf
        self._send_all(signal.SIGKILL)

    def _send_all(self, number: int) -> None:
        for place in self.places:
            if place.pid is not None:  # nobody else waits for it, so the number is still its own
                os.kill(place.pid, number)

    def _start_due(self) -> None:
        now = time.monotonic()
        for place in self.places:
            if not self.signals and place.pid is None and place.due_at <= now:
                place.started_at = now
                self._start(place)

    def _start(self, place: _Place) -> None:
        supervisor = os.getpid()
        try:
            place.pid = os.fork()
        except OSError as error:
            logger.error("worker cannot be started", extra={"reason": str(error)})
            self._ended(place, 1)
            return
        if place.pid == 0:
            self.places.clear()  # the others are no business of this process
            os.environ |= {WORKER_VARIABLE: str(place.index), CREW_VARIABLE: self.id}
            # Out of the terminal's foreground group: Ctrl-C reaches workers once, through us.
            os.setpgid(0, 0)
            # Until the server takes it, it ends the worker as SIGTERM does.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            _end_with(supervisor)
            raise _Born(place.index)
        logger.info("worker started", extra={"worker_index": place.index, "pid": place.pid})

    def _collect(self) -> None:
        """Take note of all who have ended: one signal may stand for several."""
        for place in self.places:
            if place.pid is not None:
                pid, status = os.waitpid(place.pid, os.WNOHANG)
                if pid:
                    place.pid = None
                    self._ended(place, os.waitstatus_to_exitcode(status))

    def _ended(self, place: _Place, code: int) -> None:
        """Judge the end of a worker, and say when it is started again."""
        is_first, place.is_first = place.is_first, False
        if self.signals:
            logger.info("worker stopped", extra={"worker_index": place.index, "code": code})
            if code not in _ENDED_ON_REQUEST:
                self.exit_code = self.exit_code or 1
        elif is_first and code == EXIT_CONFIGURATION:
            # It said why. Trying again would say it again.
            self.exit_code = EXIT_CONFIGURATION
            self._stop(signal.SIGTERM)
        else:
            self._restart(place, code)

    def _restart(self, place: _Place, code: int) -> None:
        now = time.monotonic()
        if now - place.started_at >= self.pauses.stable_s:
            place.pause_s = self.pauses.first_s
        logger.error(
            "worker died",
            extra={"worker_index": place.index, "code": code, "restart_in_s": place.pause_s},
        )
        place.due_at = now + place.pause_s
        place.pause_s = min(2 * place.pause_s, self.pauses.longest_s)


@contextlib.contextmanager
def _taking_signals() -> Iterator[None]:
    """Keep our signals until they are asked for; a worker leaves with them as they were."""
    # Without a handler some systems drop it even while it is kept.
    before = signal.signal(signal.SIGCHLD, lambda *_: None)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED)
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, before)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _next_signal(limit_s: float) -> int:
    """Sleep until one of our signals comes; SIGALRM when the time is over."""
    # Zero would mean no limit.
    signal.setitimer(signal.ITIMER_REAL, 0 if limit_s == math.inf else max(limit_s, 0.001))
    return signal.sigwait(_AWAITED)


def _forget_signals() -> None:
    """Drop what came too late to be asked for: it would end us before we say how it went."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    while signal.sigpending() & _AWAITED:
        signal.sigwait(_AWAITED)


def _end_with(supervisor: int) -> None:
    """Ask the kernel to send this worker SIGTERM when its supervisor dies, however it dies.

    Else the workers of a killed supervisor would serve on with nobody to stop them. Linux only;
    elsewhere nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if supervisor != os.getppid():
        # It died before we asked.
        os.kill(os.getpid(), signal.SIGTERM)
