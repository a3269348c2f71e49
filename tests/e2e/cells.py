"""The cells of the matrix: every SDK in front of every provider."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.harness import PROVIDER_IDS, Rig, open_rig
from tests.e2e.sdks import SDKS
from tests.e2e.sdks.asking import Ask, Got, Sdk
from tests.fakes.provider import FakeProvider, Kind
from tests.fakes.scenarios import Scenario


@dataclass(frozen=True)
class Target:
    """A provider and the models that have what a scenario needs."""

    kind: Kind
    model: str
    thinker: str = ""
    """A model that thinks and is told so; the same where empty."""
    viewer: str = ""
    """A model that sees."""

    @property
    def dialect(self) -> str:
        """The client whose requests pass as they are."""
        return {"messages": "anthropic", "gemini": "google"}.get(self.kind, "")

    def named(self, model: str = "") -> str:
        """Return the model's name with the provider's before it."""
        return f"{PROVIDER_IDS[self.kind]}/{model or self.model}"


TARGETS: Final[dict[str, Target]] = {
    "anthropic": Target("messages", "claude-sonnet-4-5"),
    "openai": Target("chat", "gpt-4.1", thinker="gpt-5"),
    "gemini": Target("gemini", "gemini-3-pro-preview"),
    "code-assist-gemini": Target("antigravity", "gemini-3-pro-high"),
    "code-assist-claude": Target(
        "antigravity", "claude-sonnet-4-6", thinker="claude-opus-4-6-thinking"
    ),
    "glm": Target("glm", "glm-4.6", viewer="glm-4.6v"),
}
KINDS: Final[tuple[Kind, ...]] = ("messages", "chat", "gemini", "antigravity", "glm")


@dataclass
class Cell:
    """One SDK in front of one provider, streaming or not."""

    rig: Rig
    sdk_name: str
    sdk: Sdk
    target_name: str
    target: Target
    stream: bool

    @property
    def provider(self) -> FakeProvider:
        return self.rig.providers[self.target.kind]

    def plays(self, scenario: Scenario) -> Scenario:
        """Let the provider answer so from now on."""
        self.provider.scenario = scenario
        return scenario

    async def ask(self, ask: Ask | None = None, *, model: str = "") -> Got:
        """Ask through the SDK."""
        named = self.target.named(model)
        return await self.sdk.ask(self.rig, named, ask or Ask(), stream=self.stream)


def cells(*, streams: tuple[bool, ...] = (False, True), without: str = "") -> pytest.MarkDecorator:
    """Run a test in every cell; `without`: the SDK that has nothing of the kind."""
    return pytest.mark.parametrize(
        "cell",
        [
            pytest.param((sdk, target, stream), id=f"{sdk}-{target}-{'sse' if stream else 'json'}")
            for sdk in SDKS
            for target in TARGETS
            for stream in streams
            if sdk != without
        ],
        indirect=True,
    )


@asynccontextmanager
async def open_matrix(folder: Path) -> AsyncIterator[Rig]:
    """Run one gateway with every provider behind it, each with two accounts."""
    # One test's failures after another's would look like an outage of the provider.
    async with open_rig(folder, {"AIGATEWAY_BREAKER__FAILURES": "1000000"}) as rig:
        for kind in KINDS:
            await rig.add_provider(kind, accounts=2)
        yield rig


async def clear(rig: Rig) -> None:
    """Make the providers forget what a test told them, and the gateway what it learned."""
    for kind, fake in rig.providers.items():
        fresh, told = FakeProvider(kind), {"seen", "sent", "by_key", "url", "onboarding"}
        for name in vars(fresh).keys() - told:
            setattr(fake, name, getattr(fresh, name))
        for journal in (fake.seen, fake.sent, fake.by_key):
            journal.clear()


async def rested(cell: Cell) -> None:
    """Let the accounts of the provider be used again."""
    provider_id = PROVIDER_IDS[cell.target.kind]
    for account in (await cell.rig.api("GET", "/accounts?limit=500"))["data"]:
        if account["provider_id"] == provider_id:
            await cell.rig.api("POST", f"/accounts/{account['id']}/reset")
