"""Several worker processes that share one port: started, restarted, stopped together.

The kernel spreads connections over the workers' listening sockets (SO_REUSEPORT). The parent
serves nothing itself; it sleeps until a worker ends or a signal comes.
"""

import asyncio
import contextlib
import ctypes
import logging
import os
import signal
import socket
import sys
import time
from asyncio.subprocess import Process
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

logger = logging.getLogger(__name__)

WORKER_VARIABLE = "AIGATEWAY_WORKER"
"""Tells a process that it is a worker, and which one."""
PARENT_VARIABLE = "AIGATEWAY_WORKER_PARENT"

EXIT_CONFIGURATION = 2

_PR_SET_PDEATHSIG = 1
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


def run_workers(
    count: int,
    command: Sequence[str],
    *,
    environ: Mapping[str, str] | None = None,
    pauses: Pauses | None = None,
) -> int:
    """Run `count` processes of the command until SIGTERM or SIGINT; return the exit code.

    Each worker finds its number in AIGATEWAY_WORKER. The first signal is passed on and the
    workers are waited for; a second one is passed on and leaves them little time, a third none.
    0: all ended on request. 2: a worker refused its configuration at the start. 1: some had to be
    killed or failed while stopping.
    """
    crew = _Crew(count, command, environ if environ is not None else os.environ, pauses or Pauses())
    return asyncio.run(crew.run())


def worker_command(arguments: Sequence[str]) -> list[str]:
    """Return the command line of one worker: this program, `serve` and its arguments."""
    return [sys.executable, "-m", "aigateway", "serve", *arguments]


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


def stop_with_parent(environ: Mapping[str, str]) -> None:
    """Ask the kernel to send this worker SIGTERM when its supervisor dies, however it dies.

    Else the workers of a killed supervisor would serve on with nobody to stop them. Linux only;
    elsewhere nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    parent = environ.get(PARENT_VARIABLE)
    if parent is not None and parent != str(os.getppid()):
        # It died before we asked.
        os.kill(os.getpid(), signal.SIGTERM)


@dataclass(slots=True)
class _Crew:
    """The workers of one supervisor."""

    count: int
    command: Sequence[str]
    environ: Mapping[str, str]
    pauses: Pauses
    exit_code: int = 0
    running: dict[int, Process] = field(default_factory=dict)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    hurrying: asyncio.Event = field(default_factory=asyncio.Event)
    last_signal: signal.Signals = signal.SIGTERM

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)
        try:
            async with asyncio.TaskGroup() as group:
                deadline = group.create_task(self._kill_late(), name="stop deadline")
                workers = [
                    group.create_task(self._keep(index), name=f"worker {index}")
                    for index in range(self.count)
                ]
                await asyncio.wait(workers)
                deadline.cancel()
        finally:
            self._send_all(signal.SIGKILL)  # nobody is left, unless we failed ourselves
        return self.exit_code

    def _on_signal(self, number: signal.Signals) -> None:
        if self.hurrying.is_set():
            self._kill()
        elif self.stopping.is_set():
            # They tell their clients, and write what they know.
            logger.warning("second signal: workers hurry", extra={"signal": number.name})
            self._send_all(number)
            self.hurrying.set()
        else:
            logger.info("stopping workers", extra={"signal": number.name})
            self._stop(number)

    def _stop(self, number: signal.Signals) -> None:
        self.last_signal = number
        self.stopping.set()
        self._send_all(number)

    def _kill(self) -> None:
        self.exit_code = self.exit_code or 1
        self._send_all(signal.SIGKILL)

    def _send_all(self, number: signal.Signals) -> None:
        for process in self.running.values():
            _send(process, number)

    async def _kill_late(self) -> None:
        await self.stopping.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.pauses.stop_s):
                await self.hurrying.wait()
                await asyncio.sleep(self.pauses.hurry_s)
        logger.error("workers did not stop in time and are killed")
        self._kill()

    async def _keep(self, index: int) -> None:
        """Keep one worker running until the crew stops."""
        pause_s = self.pauses.first_s
        is_first = True
        while not self.stopping.is_set():
            started_at = time.monotonic()
            try:
                code = await self._run_once(index)
            except OSError as error:
                logger.error("worker cannot be started", extra={"reason": str(error)})
                code = 1
            if self._is_over(index, code, is_first=is_first):
                return
            is_first = False
            if time.monotonic() - started_at >= self.pauses.stable_s:
                pause_s = self.pauses.first_s
            logger.error(
                "worker died", extra={"worker_index": index, "code": code, "restart_in_s": pause_s}
            )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self.stopping.wait()
            pause_s = min(2 * pause_s, self.pauses.longest_s)

    def _is_over(self, index: int, code: int, *, is_first: bool) -> bool:
        """Judge the end of a worker; True when it is not to be started again."""
        if self.stopping.is_set():
            logger.info("worker stopped", extra={"worker_index": index, "code": code})
            if code not in _ENDED_ON_REQUEST:
                self.exit_code = self.exit_code or 1
            return True
        if is_first and code == EXIT_CONFIGURATION:
            # It said why. Trying again would say it again.
            self.exit_code = EXIT_CONFIGURATION
            self._stop(signal.SIGTERM)
            return True
        return False

    async def _run_once(self, index: int) -> int:
        """Start a worker and return its exit code once it has ended."""
        marks = {WORKER_VARIABLE: str(index), PARENT_VARIABLE: str(os.getpid())}
        process = await asyncio.create_subprocess_exec(
            *self.command,
            env={**self.environ, **marks},
            # Out of the terminal's foreground group: Ctrl-C reaches workers once, through us.
            process_group=0,
        )
        self.running[index] = process
        logger.info("worker started", extra={"worker_index": index, "pid": process.pid})
        if self.stopping.is_set():  # the signal came while it was being started
            _send(process, self.last_signal)
        try:
            return await process.wait()
        finally:
            del self.running[index]


def _send(process: Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)
