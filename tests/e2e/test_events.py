"""An account that cools is heard of: in the list, in the stream, and at the webhook."""

import asyncio
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.e2e.harness import open_rig
from tests.fakes.provider import Failure
from tests.waiting import until

SECRET = "a secret of the receiver"
ASK: dict[str, Any] = {
    "model": "claude-fake",
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "Hello"}],
}


async def test_an_account_that_cools_is_told_everywhere(tmp_path: Path) -> None:
    taken: list[tuple[dict[str, str], bytes]] = []

    async def take(request: web.Request) -> web.Response:
        taken.append((dict(request.headers), await request.read()))
        return web.Response(status=500 if len(taken) == 1 else 204)

    app = web.Application()
    app.router.add_post("/hook", take)
    async with TestServer(app) as receiver:
        environment = {
            "AIGATEWAY_EVENTS__WEBHOOK_URL": str(receiver.make_url("/hook")),
            "AIGATEWAY_EVENTS__WEBHOOK_SECRET": SECRET,
        }
        async with open_rig(tmp_path, environment) as rig:
            provider = await rig.add_provider("messages", accounts=2)
            provider.failures_by_key["key-0"] = Failure(429, headers={"retry-after": "300"})
            headers = {"x-api-key": rig.admin_key}
            stream_url = f"{rig.url}/api/v1/events/stream?after=0"
            async with rig.http.get(stream_url, headers=headers) as stream, asyncio.timeout(30):
                assert stream.status == 200
                for _ in range(2):
                    assert (await rig.post("/v1/messages", ASK)).status == 200
                while not (line := await stream.content.readline()).startswith(b"data: "):
                    pass
            heard = json.loads(line.removeprefix(b"data: "))
            assert heard["kind"] == "account.cooled"
            await until(lambda: len(taken) >= 2)
            page = await rig.api("GET", "/events?kind=account.cooled")
            assert heard in page["data"]
            first, again = taken[:2]
            assert json.loads(first[1]) == json.loads(again[1]) == heard
            signed = again[0]["x-aigateway-timestamp"].encode() + b"." + again[1]
            digest = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
            assert again[0]["x-aigateway-signature"] == f"sha256={digest}"
