"""One provider of its own for each look at a fault, so that nobody rests for another's sake."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

import aiohttp

from tests.e2e.harness import Rig
from tests.fault.fault_cases import ACCOUNTS, MODEL, Told
from tests.fault.live_streams import ENDS, ERRORS, PATHS

ASK: Final = {"max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]}

_NUMBERS: Final = count(1)


@dataclass
class Asked:
    """One request of a client, and what is known of it afterwards."""

    response: aiohttp.ClientResponse
    body: bytes
    attempts: Sequence[dict[str, Any]]
    """Calls of the provider."""
    record: dict[str, Any]

    @property
    def accounts(self) -> int:
        """How many were asked."""
        return int(self.response.headers["x-aigateway-attempts"])


@dataclass
class Scene:
    """A provider with some accounts."""

    rig: Rig
    id: str
    keys: dict[str, str] = field(default_factory=dict)
    """Account id -> its key."""

    async def ask(self, dialect: str, *, stream: bool) -> Asked:
        """Ask, and wait until the request is recorded."""
        body = {**ASK, "model": f"{self.id}/{MODEL}", "stream": stream}
        response = await self.rig.post(PATHS[dialect], body)
        trace = await self._trace(response.headers["request-id"])
        return Asked(response, await response.read(), trace["attempts"], trace["request"])

    async def rests(self) -> dict[str, str]:
        """Return who rests for what: keys of accounts, or `provider`."""
        found = (await self.rig.api("GET", f"/rests?provider_id={self.id}"))["data"]
        return {self.keys.get(rest["subject"], rest["kind"]): rest["scope"] for rest in found}

    async def _trace(self, request_id: str) -> Any:  # noqa: ANN401 - JSON
        url = f"{self.rig.url}/api/v1/requests/{request_id}/trace"
        headers = {"authorization": f"Bearer {self.rig.admin_key}"}
        async with asyncio.timeout(10):
            while True:
                async with self.rig.http.get(url, headers=headers) as response:
                    if response.status == 200:
                        return await response.json()
                await asyncio.sleep(0.005)


async def open_scene(rig: Rig, url: str) -> Scene:
    """Add a provider at this address, with accounts `key-0`, `key-1`..."""
    name = f"faulty{next(_NUMBERS)}"
    body = {"id": name, "name": name, "dialect": "messages", "base_url": url}
    await rig.api("POST", "/providers", body)
    scene = Scene(rig, name)
    for number in range(ACCOUNTS):
        key = f"key-{number}"
        # With models of its own nobody asks the provider for its list.
        account = await rig.add_account(name, key, models=[MODEL])
        scene.keys[account["id"]] = key
    return scene


def in_turn(scene: Scene, ill: Told, well: Told) -> list[Told]:
    """Return what the next clients get, when `key-0` is ill: accounts take turns by their ids."""
    first = scene.keys[min(scene.keys)]
    return [ill, well] if first == "key-0" else [well, ill]


def check(asked: Asked, dialect: str, told: Told) -> None:
    """The client got what was expected, in its own format; and so it is recorded."""
    status = told.chat_status if dialect == "chat" and told.chat_status else told.status
    assert (asked.response.status, asked.accounts) == (status, told.attempts), asked.body[-500:]
    if status != 200:
        _check_error(dialect, asked.body, told.kind)
    elif asked.response.content_type == "text/event-stream":
        errors, ends = asked.body.count(ERRORS[dialect]), asked.body.count(ENDS[dialect])
        assert (errors, ends) == ((0, 1) if told.is_whole else (1, 0)), asked.body[-300:]
    else:
        assert json.loads(asked.body)
    assert asked.record["error_code"] == (told.code or None)
    assert asked.record["output_tokens"] == told.tokens


def _check_error(dialect: str, body: bytes, kind: str) -> None:
    shape = json.loads(body)
    if dialect == "messages":
        assert (shape["type"], shape["error"]["type"]) == ("error", kind)
        assert shape["request_id"]
    else:
        assert set(shape) == {"error"}
        assert set(shape["error"]) >= {"message", "type", "param", "code"}
    assert shape["error"]["message"]
