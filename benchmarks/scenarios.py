"""What is measured: requests, how often they come, and how the provider answers."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from benchmarks import answers
from benchmarks.caller import Expected
from benchmarks.gateway import Provider

Format = Literal["chat", "messages"]
Setting = Literal["embedded", "shared", "crowd"]
"""How the gateway is set up: SQLite and 10 accounts; Redis and MariaDB; 10,000 accounts."""

PATHS: Final[dict[Format, str]] = {"chat": "/v1/chat/completions", "messages": "/v1/messages"}
ACCOUNTS: Final = 10
CROWD: Final = 10_000
_SYSTEM: Final = "Answer in the language of the question, briefly, and name your source. "
_QUESTION: Final = (
    "How does a reverse proxy choose an upstream when the members of a pool have different limits "
    "left, and what becomes of requests under way when one of them is rate limited? "
)


@dataclass(frozen=True, slots=True)
class Place:
    """A pretend provider: its format, how it behaves, and how it is reached."""

    dialect: Format
    behaviour: str
    way: Literal["plain", "tls", "proxy"] = "plain"


PLACES: Final[dict[str, Place]] = {
    "json": Place("chat", "json"),
    "large": Place("chat", "large"),
    "burst": Place("chat", "burst"),
    "split": Place("chat", "split"),
    "paced": Place("chat", "paced"),
    "mjson": Place("messages", "json"),
    "mburst": Place("messages", "burst"),
    "mpaced": Place("messages", "paced"),
    "tls": Place("chat", "json", "tls"),
    "tlsburst": Place("chat", "burst", "tls"),
    "proxied": Place("chat", "json", "proxy"),
}


@dataclass(frozen=True, slots=True)
class Scenario:
    """One way to load a gateway."""

    name: str
    place: str
    """Which of `PLACES` serves it."""
    client: Format = "chat"
    stream: bool = False
    connections: int = 64
    rate_per_s: float = 0.0
    """Arrivals in an open loop; 0 is a closed one."""
    body_bytes: int = 0
    """About how large the request is; 0 is some 700 bytes."""
    turns: int = 1
    """Turns of the conversation so far; from the second on, its account is looked up."""
    setting: Setting = "embedded"

    @property
    def raw(self) -> bool:
        """Tell whether bytes pass untouched, so that a plain proxy could do it, too."""
        return self.client == PLACES[self.place].dialect

    def body(self, model: str) -> bytes:
        """Return the request for a model, as client libraries write it."""
        size = max(self.body_bytes, 500)
        turn = [{"role": "user", "content": _QUESTION * max(1, size // len(_QUESTION))}]
        for number in range(self.turns - 1):
            turn += [
                {"role": "assistant", "content": f"By what is left of them ({number})."},
                {"role": "user", "content": "And then?"},
            ]
        told: dict[str, object] = {"model": model, "max_tokens": 256, "temperature": 0.7}
        if self.client == "chat":
            told["messages"] = [{"role": "system", "content": _SYSTEM * 2}, *turn]
            extra: dict[str, object] = {"stream_options": {"include_usage": True}}
        else:
            told |= {"system": _SYSTEM * 2, "messages": turn}
            extra = {}
        if self.stream:
            told |= {"stream": True, **extra}
        return json.dumps(told).encode()

    def expected(self, *, rewritten: bool = False) -> Expected:
        """Return what an answer must hold: every delta of a stream, all of a whole answer.

        `rewritten`: a whole answer may be written anew, as long as its text is in it.
        """
        if self.stream:
            return Expected(word=answers.WORD, times=answers.CHUNKS)
        if rewritten or not self.raw:
            return Expected(word=answers.WORD, times=1)
        size = 100_000 if self.place == "large" else 0
        return Expected(answers.chat(size) if self.client == "chat" else answers.messages(size))


SCENARIOS: Final[Sequence[Scenario]] = (
    Scenario("json", "json"),
    Scenario("turns", "json", turns=4),
    Scenario("burst", "burst", stream=True, connections=32),
    Scenario("split", "split", stream=True, connections=32),
    Scenario("paced", "paced", stream=True, connections=100),
    Scenario("messages", "mjson", "messages"),
    Scenario("messages-burst", "mburst", "messages", stream=True, connections=32),
    Scenario("translated", "json", "messages"),
    Scenario("translated-burst", "burst", "messages", stream=True, connections=32),
    Scenario("translated-split", "split", "messages", stream=True, connections=32),
    Scenario("translated-paced", "paced", "messages", stream=True, connections=100),
    Scenario("translated-back", "mjson", "chat"),
    Scenario("translated-back-burst", "mburst", "chat", stream=True, connections=32),
    Scenario("body-10k", "json", body_bytes=10_000),
    Scenario("body-100k", "json", body_bytes=100_000, connections=32),
    Scenario("body-1m", "json", body_bytes=1_000_000, connections=8),
    Scenario("answer-100k", "large", connections=32),
    Scenario("tls", "tls"),
    Scenario("tls-burst", "tlsburst", stream=True, connections=32),
    Scenario("proxied", "proxied"),
    Scenario("crowd", "json", setting="crowd"),
    Scenario("shared", "json", setting="shared"),
    Scenario("shared-burst", "burst", stream=True, connections=32, setting="shared"),
    Scenario("one", "json", connections=1),
    Scenario("open-100", "json", rate_per_s=100),
    Scenario("open-300", "json", rate_per_s=300),
    Scenario("open-1000", "json", rate_per_s=1000),
)
SHORT: Final = ("json", "burst", "split", "paced", "translated", "translated-burst", "open-300")
"""What is measured when nothing is chosen."""


def providers(plain_port: int, tls_port: int, setting: Setting) -> list[Provider]:
    """Return the pretend providers as a gateway of this setting is told of them."""
    told = []
    for name, place in PLACES.items():
        base = f"https://127.0.0.1:{tls_port}" if place.way == "tls" else None
        url = f"{base or f'http://127.0.0.1:{plain_port}'}/{place.behaviour}"
        told.append(
            Provider(
                name,
                place.dialect,
                url + ("/v1" if place.dialect == "chat" else ""),
                CROWD if setting == "crowd" and name == "json" else ACCOUNTS,
                "required" if place.way == "proxy" else "direct",
            )
        )
    return told


def chosen(names: str) -> list[Scenario]:
    """Return scenarios by their names, comma-separated; `all` is all of them."""
    known = {scenario.name: scenario for scenario in SCENARIOS}
    wanted = list(known) if names == "all" else names.split(",")
    if unknown := [name for name in wanted if name not in known]:
        raise SystemExit(f"no such scenario: {', '.join(unknown)}; there are {', '.join(known)}")
    return [known[name] for name in wanted]
