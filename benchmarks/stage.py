"""The stage of a run: the pretend provider, and everything that is measured in front of it."""

import asyncio
import secrets
import socket
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks import certificate, forwarder, machine, scenarios, stores, upstream
from benchmarks.caller import request
from benchmarks.gateway import Gateway, SetUpError
from benchmarks.load import Target
from benchmarks.peers import Upstreams
from benchmarks.scenarios import PATHS, Scenario, Setting
from benchmarks.windows import Subject

_FIRST_ANSWER_S: Final = 30.0


@dataclass(slots=True)
class Stage:
    """The pretend provider with its ports, and where things are put."""

    folder: Path
    stack: AsyncExitStack
    cores: machine.Cores = field(default_factory=machine.cores)
    provider: upstream.Upstream = field(default_factory=upstream.Upstream)
    upstreams: Upstreams = field(default_factory=lambda: Upstreams(0, 0))
    trusted: Path = Path()
    """The file with the provider's certificate."""
    proxy_url: str = ""

    async def open(self) -> None:
        """Start the pretend provider and the forwarding proxy, on the core of the load."""
        machine.raise_open_files()
        machine.pin(0, self.cores.load)
        self.provider.behaviours |= upstream.usual()
        await self.stack.enter_async_context(self.provider)
        made = certificate.make(self.folder, "127.0.0.1")
        context, self.trusted = made.server_context(), made.public
        plain, tls = await self.provider.listen(), await self.provider.listen(tls=context)
        self.upstreams = Upstreams(plain, tls)
        proxy = await forwarder.listen(0)
        self.stack.callback(proxy.close)
        self.proxy_url = f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"

    def gateway(self, tree: Path, environ: dict[str, str] | None = None) -> Gateway:
        """Return a gateway that has not been started, on the core of what is measured."""
        folder = self.folder / f"gateway-{secrets.token_hex(4)}"
        folder.mkdir()
        return Gateway(
            tree,
            folder,
            self.cores.measured,
            {"SSL_CERT_FILE": str(self.trusted), **(environ or {})},
        )

    async def furnished(
        self, tree: Path, setting: Setting = "embedded", servers: stores.Servers | None = None
    ) -> Gateway:
        """Start a gateway with every provider of the scenarios."""
        environ = {}
        if setting == "shared":
            assert servers is not None
            environ = self.stack.enter_context(stores.fresh(servers))
        gateway = self.gateway(tree, environ)
        await self.stack.enter_async_context(gateway)
        told = scenarios.providers(self.upstreams.plain_port, self.upstreams.tls_port, setting)
        await gateway.furnish(told, proxy_url=self.proxy_url)
        await asyncio.to_thread(first_answer_s, gateway, "json-model")
        return gateway


async def subject(
    stage: Stage,
    name: str,
    tree: Path,
    settings: Sequence[Setting],
    servers: stores.Servers,
) -> dict[Setting, Subject]:
    """Start the gateways of a checkout that these settings need."""
    found: dict[Setting, Subject] = {}
    for setting in settings:
        gateway = await stage.furnished(tree, setting, servers)
        found[setting] = gateway_subject(name, gateway)
    return found


def gateway_subject(name: str, gateway: Gateway) -> Subject:
    """Return a gateway as something to run scenarios on."""

    def target(scenario: Scenario) -> Target:
        body = scenario.body(f"{scenario.place}-model")
        sent = request(PATHS[scenario.client], gateway.key, body)
        return Target("127.0.0.1", gateway.port, sent)

    return Subject(name, gateway.pid, target)


def first_answer_s(gateway: Gateway, model: str) -> float:
    """Ask until a model answers; return the seconds that took. Blocks."""
    body = scenarios.SCENARIOS[0].body(model)
    sent = request(PATHS["chat"], gateway.key, body).replace(
        b"\r\nAccept", b"\r\nConnection: close\r\nAccept", 1
    )
    began = time.monotonic()
    last = b""
    while time.monotonic() - began < _FIRST_ANSWER_S:
        try:
            with socket.create_connection(("127.0.0.1", gateway.port), 5) as connection:
                connection.sendall(sent)
                last = connection.recv(4096)
        except OSError:
            last = b""
        if last.startswith(b"HTTP/1.1 200"):
            return time.monotonic() - began
        time.sleep(0.005)
    raise SetUpError(f"no answer of a model: {last[:500]!r}\n{gateway.tail()}")
