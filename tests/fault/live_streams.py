"""Clients that hold a streamed answer, each over a connection of its own."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp

from tests.e2e.cluster import Cluster
from tests.e2e.harness import Rig

PATHS: Final = {"messages": "/v1/messages", "chat": "/v1/chat/completions"}
ENDS: Final = {"messages": b'"type":"message_stop"', "chat": b"data: [DONE]"}
ERRORS: Final = {"messages": b"event: error\n", "chat": b'data: {"error":'}


@dataclass
class LiveStream:
    """One streamed answer and how it ended."""

    dialect: str
    request_id: str
    port: int
    """The client's own port: tells which process serves."""
    body: bytes = b""
    is_broken: bool = False
    """The connection ended without the end of the answer's framing."""
    done: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def is_whole(self) -> bool:
        return not self.is_broken and self.body.count(ENDS[self.dialect]) == 1

    @property
    def errors(self) -> int:
        """How many error events of the client's dialect there are."""
        return self.body.count(ERRORS[self.dialect])

    @property
    def has_told_its_error(self) -> bool:
        """It ended with one error event, and nothing pretends that it is whole."""
        last = self.body.rstrip().rpartition(b"\n\n")[2]
        is_last = last.startswith(ERRORS[self.dialect].rstrip())
        return not self.is_broken and is_last and self.errors == 1 and not self.is_whole


async def open_stream(
    cluster: Cluster, dialect: str, model: str, request_id: str, **fields: object
) -> LiveStream:
    """Ask for a stream; return once its first bytes are there. It is read on the side."""
    body = {"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]}
    http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None))
    cluster.stack.push_async_callback(http.close)
    response = await http.post(
        cluster.url + PATHS[dialect],
        json={**body, "stream": True, **fields},
        headers=client_headers(cluster, request_id),
    )
    assert response.status == 200, await response.text()
    assert response.connection is not None
    assert response.connection.transport is not None
    port = response.connection.transport.get_extra_info("sockname")[1]
    stream = LiveStream(dialect, request_id, port)
    stream.body = await response.content.readany()
    stream.done = asyncio.create_task(_read(stream, response), name=request_id)
    return stream


def client_headers(cluster: Cluster, request_id: str) -> Mapping[str, str]:
    return {"authorization": f"Bearer {cluster.key}", "x-request-id": request_id}


async def _read(stream: LiveStream, response: aiohttp.ClientResponse) -> None:
    try:
        while data := await response.content.readany():
            stream.body += data
    except aiohttp.ClientError:
        stream.is_broken = True
    finally:
        response.close()


async def all_done(streams: list[LiveStream], limit_s: float = 60.0) -> None:
    """Wait for the end of every stream."""
    async with asyncio.timeout(limit_s):
        for stream in streams:
            assert stream.done is not None
            await stream.done


def worker_of(cluster: Cluster, port: int) -> int:
    """Return which process holds the other end of the client's connection."""
    server = int(cluster.url.rpartition(":")[2])
    ends = f":{server:04X}", f":{port:04X}"
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(ends[0]) and fields[2].endswith(ends[1]):
            return _holder(cluster.worker_pids(), f"socket:[{fields[9]}]")
    raise AssertionError(f"no connection from port {port}")


def _holder(pids: list[int], name: str) -> int:
    for pid in pids:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            if _target(descriptor) == name:
                return pid
    raise AssertionError(f"nobody holds {name}")


def _target(descriptor: Path) -> str:
    try:
        return str(descriptor.readlink())
    except FileNotFoundError:
        return ""


def long_texts(pieces: int) -> dict[str, Any]:
    """Fields of a scenario whose stream has so many deltas."""
    return {"text": tuple(f"word{number} " for number in range(pieces))}


def request_bytes(rig: Rig, path: str, *, stream: bool) -> bytes:
    """A model call as it goes over the wire, for clients that use plain sockets."""
    body = b'{"model":"claude-fake","max_tokens":9,"stream":%b,"messages":[%b]}' % (
        b"true" if stream else b"false",
        b'{"role":"user","content":"Hello"}',
    )
    head = (
        f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {rig.key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
