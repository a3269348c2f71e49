"""The commands of the README, run as they stand there."""

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cluster import Cluster, open_cluster
from tests.fakes.idp import FakeIdp
from tests.fakes.proxies import FakeSocks
from tests.servers import program

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:8088"
"""Where the README's gateway is."""


def blocks(heading: str) -> list[tuple[str, str]]:
    """Return language and text of the code blocks under a heading, without its subsections."""
    section = re.split(rf"^#+ {re.escape(heading)}$", README, maxsplit=1, flags=re.MULTILINE)[1]
    section = re.split(r"^#+ ", re.sub(r"(?s)```.*?```", _kept, section), flags=re.MULTILINE)[0]
    return [
        (language, text.replace("\0", "#"))
        for language, text in re.findall(r"(?s)```(\w*)\n(.*?)```", section)
    ]


def _kept(block: re.Match[str]) -> str:
    """Hide what looks like a heading inside a block."""
    return block[0].replace("#", "\0")


async def run(cluster: Cluster, language: str, text: str) -> str:
    """Run one block the way a reader would; return what it prints."""
    program("curl")
    environ = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "GATEWAY": cluster.url,
        "KEY": cluster.admin_key,
    }
    text = text.replace(ADDRESS, cluster.url)
    command = {
        "sh": ["bash", "-euo", "pipefail", "-c", text],
        "python": [sys.executable, "-c", text],
    }
    process = await asyncio.create_subprocess_exec(
        *command[language],
        env=environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(50):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


async def shown(cluster: Cluster, heading: str, changes: dict[str, str] | None = None) -> Any:  # noqa: ANN401 - JSON
    """Run the only block under a heading and return the JSON it prints."""
    ((language, text),) = blocks(heading)
    for old, new in (changes or {}).items():
        assert old in text
        text = text.replace(old, new)
    answer = json.loads(await run(cluster, language, text))
    assert "error" not in answer, answer
    return answer


# --- the demo ---


@pytest.fixture
async def demo(tmp_path: Path) -> AsyncIterator[Cluster]:
    closed = {"AIGATEWAY_SECURITY__ALLOWED_PRIVATE_NETWORKS": ""}
    async with open_cluster(tmp_path, environment=closed, arguments=["--demo"]) as cluster:
        yield cluster


async def test_the_demo_shows_what_the_readme_says(demo: Cluster) -> None:
    start, turns, stream, statistics = blocks("Without credentials: the demo")
    assert start == ("sh", "scripts/serve.sh --demo\n")

    answers = [json.loads(line) for line in (await run(demo, *turns)).splitlines() if line]
    texts = [answer["choices"][0]["message"]["content"] for answer in answers]
    for account, proxy, text in zip("123", "AAB", texts, strict=True):
        assert f"signed by demo-account-{account} and came through demo proxy {proxy}" in text

    assert (await run(demo, *stream)).endswith('data: {"type":"message_stop"}\n\n')

    await demo.logs(4)
    decoder, rest, found = json.JSONDecoder(), await run(demo, *statistics), []
    while rest.strip():
        document, end = decoder.raw_decode(rest.lstrip())
        rest = rest.lstrip()[end:]
        found.append(document)
    summary, logs, assignments = found
    assert summary["by_provider"] == {"demo": 4}
    assert (len(logs["data"]), logs["total"]) == (3, 4)
    assert [proxy["assigned"] for proxy in assignments["data"]] == [2, 1]


# --- the first answer and what follows ---


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with open_cluster(tmp_path) as opened:
        await opened.add_provider("messages", accounts=0)
        yield opened


async def test_the_way_to_the_first_answer(cluster: Cluster) -> None:
    account = await shown(cluster, "Add an account")
    assert (account["provider_id"], account["egress_status"]) == ("anthropic", "direct")
    assert "sk-ant" not in json.dumps(account)

    whole, stream = blocks("Ask")
    answer = json.loads(await run(cluster, *whole))
    assert answer["type"] == "message"
    assert answer["content"][0]["text"]
    lines = (await run(cluster, *stream)).strip().split("\n\n")
    assert json.loads(lines[0].removeprefix("data: "))["object"] == "chat.completion.chunk"
    assert lines[-1] == "data: [DONE]"

    text = answer["content"][0]["text"]
    for block in blocks("With the official SDKs"):
        assert (await run(cluster, *block)).strip() == text

    key = await shown(cluster, "Keys for clients")
    assert (key["name"], key["is_admin"]) == ("my laptop", False)
    assert (await cluster.post("/v1/messages", json.loads("{}"), key=key["key"])).status == 400
    refused = await cluster.http.get(
        f"{cluster.url}/api/v1/accounts", headers={"x-api-key": key["key"]}
    )
    assert refused.status == 403


async def test_accounts_proxies_and_providers_are_added_as_shown(cluster: Cluster) -> None:
    idp, socks = FakeIdp(), FakeSocks("user", "password")
    runner = await idp.start()
    cluster.stack.push_async_callback(runner.cleanup)
    await socks.start()
    cluster.stack.push_async_callback(socks.stop)

    account = await shown(
        cluster,
        "OAuth accounts",
        {"https://auth.example.com/oauth/token": f"{idp.url}/token"},
    )
    assert (account["auth_type"], account["egress_status"]) == ("oauth", "direct")
    proxy = await shown(
        cluster, "Outbound proxies", {"socks5h://user:password@proxy.example.com:1080": socks.url}
    )
    assert proxy["max_accounts"] == 5
    assert ":***@" in proxy["url"]
    # "A new proxy also takes accounts with `auto` that went direct so far."
    moved = await cluster.api("GET", f"/accounts/{account['id']}")
    assert (moved["proxy_id"], moved["egress_bound"]) == (proxy["id"], True)
    back = await cluster.api("PATCH", f"/accounts/{account['id']}", {"egress_policy": "direct"})
    assert (back["proxy_id"], back["egress_status"]) == (None, "direct")

    add, change = blocks("Other providers, other addresses")
    local = "http://127.0.0.1:9/v1"
    provider = json.loads(
        await run(cluster, add[0], add[1].replace("https://llm.example.com/v1", local))
    )
    assert (provider["id"], provider["prefixes"], provider["base_url"]) == (
        "house",
        ["llama"],
        local,
    )
    changed = json.loads(
        await run(cluster, change[0], change[1].replace("https://eu.api.openai.com/v1", local))
    )
    assert (changed["id"], changed["base_url"]) == ("openai", local)
