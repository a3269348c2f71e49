"""What translating a stream costs: CPU microseconds per text chunk, beside the raw relay.

For every pair of dialects one long answer is told in the provider's format and relayed twice in
the same run: raw to a client of that format, translated to one of the other. The two take turns,
so that a busy machine slows both. Nothing but our own code runs: no network, no loop.
"""

import argparse
import cProfile
import gc
import json
import pstats
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from dialects import DIALECTS
from dialects.base import Dialect, Operation, ReplyContext
from models.chat import ChatRequest, FinishReason
from models.content import Message, Text
from models.events import Delta, Event, Finish, PartEnd, PartStart, Start
from models.profile import Profile
from models.usage import Usage
from services.relay import RawRelay, Relay, TranslatedRelay

CHUNKS: Final = 2000
BURST: Final = 50
"""Frames that arrive together where a provider writes faster than we read."""
WINDOWS: Final = 9
PROFILE: Final = Profile("a-model")
SPOKEN: Final[Sequence[Dialect]] = [
    dialect for dialect in DIALECTS.values() if dialect.operation is Operation.GENERATE
]


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU microseconds per chunk: medians over the windows, and their spread."""

    provider: str
    client: str
    burst: int
    raw_us: float
    translated_us: float
    added_us: float
    """Translated minus raw: the median of the differences window by window."""
    added_low_us: float
    added_high_us: float

    @property
    def ratio(self) -> float:
        return self.translated_us / self.raw_us


# --- what is relayed --------------------------------------------------------------------------


def answer(chunks: int) -> Iterator[Event]:
    """Tell an answer whose text comes token by token, as models write."""
    yield Start("answer_1", "a-model", 1_750_000_000, Usage(input_tokens=20))
    yield PartStart(Text(""))
    for number in range(chunks):
        yield Delta(f" word{number % 1000}" if number % 20 else " Größe,\n")
    yield PartEnd()
    yield Finish(FinishReason.STOP, usage=Usage(20, chunks))


def context() -> ReplyContext:
    """Return what an encoder knows of the request: a plain one."""
    request = ChatRequest("a-model", True, (Message("user", (Text("Tell me."),)),))
    return ReplyContext(request, "r" * 32, 1_750_000_000)


def told(provider: Dialect, chunks: int, burst: int) -> list[bytes]:
    """Return the answer in the provider's format, `burst` chunks in one read."""
    encoder = provider.encoder(context())
    frames = [written for event in answer(chunks) if (written := encoder.encode(event))]
    return [b"".join(frames[at : at + burst]) for at in range(0, len(frames), burst)]


def raw(provider: Dialect) -> Relay:
    """Return the relay to a client of the provider's own format."""
    return RawRelay(provider, provider.sniffer(hide_usage=False), "request_1")


def translated(provider: Dialect, client: Dialect) -> Relay:
    """Return the relay to a client of another format."""
    encoder = client.encoder(context())
    return TranslatedRelay(provider.decoder(PROFILE), encoder)


# --- measuring --------------------------------------------------------------------------------


def relayed(relay: Relay, reads: Sequence[bytes]) -> int:
    """Relay a whole answer; return how many bytes came out."""
    size = sum([len(relay.feed(data)) for data in reads])
    if not relay.ended:
        size += len(relay.finish())
    assert relay.error is None, "a broken answer costs nothing and says nothing"
    return size


def spent_us(make: Callable[[], Relay], reads: Sequence[bytes]) -> float:
    """Return the CPU microseconds of this thread for one answer."""
    relay = make()
    began = time.thread_time_ns()
    relayed(relay, reads)
    return (time.thread_time_ns() - began) / 1000


def measured(provider: Dialect, client: Dialect, *, chunks: int, burst: int, windows: int) -> Cost:
    """Relay the same answer both ways, in turns."""
    reads = told(provider, chunks, burst)
    ways = (lambda: raw(provider), lambda: translated(provider, client))
    plain, changed = [], []
    gc.collect()
    for window in range(windows + 1):
        first, second = (spent_us(way, reads) / chunks for way in ways)
        if window:  # the first one warms caches
            plain.append(first)
            changed.append(second)
    added = sorted(b - a for a, b in zip(plain, changed, strict=True))
    return Cost(
        provider.name,
        client.name,
        burst,
        statistics.median(plain),
        statistics.median(changed),
        statistics.median(added),
        added[0],
        added[-1],
    )


def table(costs: Sequence[Cost]) -> Iterator[str]:
    """Yield the lines of a table."""
    yield (
        f"{'provider':12}{'client':12}{'burst':>6}{'raw us':>9}{'transl. us':>12}{'ratio':>7}"
        f"{'added us':>10}  [least-most]"
    )
    for cost in costs:
        yield (
            f"{cost.provider:12}{cost.client:12}{cost.burst:6}{cost.raw_us:9.2f}"
            f"{cost.translated_us:12.2f}{cost.ratio:7.1f}{cost.added_us:10.2f}"
            f"  [{cost.added_low_us:.2f}-{cost.added_high_us:.2f}]"
        )


def profiled(provider: Dialect, client: Dialect, chunks: int) -> None:
    """Print where the time of one pair goes, chunk by chunk."""
    reads = told(provider, chunks, 1)
    profile = cProfile.Profile()
    profile.runcall(relayed, translated(provider, client), reads)
    pstats.Stats(profile).sort_stats("tottime").print_stats(20)


def main() -> None:
    """Measure all pairs, or show where the time of one goes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.translation", description=__doc__)
    parser.add_argument("--chunks", type=int, default=CHUNKS)
    parser.add_argument("--windows", type=int, default=WINDOWS)
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    parser.add_argument("--profile", metavar="PROVIDER:CLIENT", help="show where the time goes")
    options = parser.parse_args()
    if options.profile:
        provider, client = options.profile.split(":")
        profiled(DIALECTS[provider], DIALECTS[client], options.chunks)
        return
    costs = [
        measured(provider, client, chunks=options.chunks, burst=burst, windows=options.windows)
        for provider in SPOKEN
        if provider.name != "completions"  # nothing is translated to the legacy format
        for client in SPOKEN
        if client is not provider
        for burst in (1, BURST)
    ]
    print("\n".join(table(costs)))
    if options.json:
        rows = [{**asdict(cost), "ratio": cost.ratio} for cost in costs]
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
