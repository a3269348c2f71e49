"""Other programs in the same run: nginx, LiteLLM, and a plain relay of bytes in Python.

They are run as their makers recommend for one core: one worker, no access log. None of them does
what the gateway does; they say what moving the bytes costs on this machine at this moment, and what
another gateway costs.
"""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.caller import request
from benchmarks.gateway import SetUpError, free_port
from benchmarks.load import Target
from benchmarks.machine import ROOT
from benchmarks.scenarios import PATHS, PLACES, Scenario
from benchmarks.windows import Subject

_START_S: Final = 90.0
_LITELLM: Final = Path(
    os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "aigateway-benchmarks", "litellm"
)
_LITELLM_PACKAGE: Final = "litellm[proxy]==1.106.2"
_KEY: Final = "sk-bench-0123456789abcdef0123456789abcdef"
_SBIN: Final = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
_NGINX: Final = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx-error.log;
{user}
events {{ worker_connections 8192; }}
http {{
  access_log off; keepalive_requests 1000000; client_max_body_size 0; client_body_buffer_size 2m;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  upstream plain {{ server 127.0.0.1:{plain}; keepalive 512; keepalive_requests 1000000; }}
  upstream secret {{ server 127.0.0.1:{tls}; keepalive 512; keepalive_requests 1000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
    location / {{ proxy_pass http://plain; }}
    location /tls/ {{ proxy_pass https://secret/; }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Upstreams:
    """Where the pretend provider listens."""

    plain_port: int
    tls_port: int


def direct(upstreams: Upstreams) -> Subject:
    """Return the pretend provider itself: what latency there is without anything in between."""
    return Subject("direct", 0, lambda scenario: _raw_target(scenario, upstreams.plain_port))


async def relay(stack: AsyncExitStack, upstreams: Upstreams, core: int) -> Subject:
    """Start the plain relay."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.forwarder", str(port)]
    command += ["--to", f"127.0.0.1:{upstreams.plain_port}"]
    process = await _started(stack, command, port, core, {"PYTHONPATH": str(ROOT)})
    return Subject("relay", process.pid, lambda scenario: _raw_target(scenario, port))


async def nginx(
    stack: AsyncExitStack, folder: Path, upstreams: Upstreams, core: int
) -> Subject | None:
    """Start nginx, if it is installed."""
    program = shutil.which("nginx", path=_SBIN)
    if program is None:
        return None
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(
        _NGINX.format(
            folder=folder,
            port=port,
            plain=upstreams.plain_port,
            tls=upstreams.tls_port,
            user="user root;" if os.geteuid() == 0 else "",
        )
    )
    process = await _started(
        stack, [program, "-e", str(folder / "nginx-error.log"), "-c", str(config)], port, core
    )

    def target(scenario: Scenario) -> Target | None:
        is_tls = PLACES[scenario.place].way == "tls"
        return _raw_target(scenario, port, "/tls" if is_tls else "", tls=True)

    return Subject("nginx", process.pid, target)


async def litellm(
    stack: AsyncExitStack, folder: Path, upstreams: Upstreams, core: int
) -> Subject | None:
    """Start LiteLLM with a key check, if `install` has put it there."""
    program = _LITELLM / "bin" / "litellm"
    if not program.exists():
        return None
    port = free_port()
    config = folder / "litellm.json"  # JSON is YAML
    config.write_text(json.dumps(_litellm_config(upstreams)))
    command = [str(program), "--config", str(config), "--port", str(port)]
    command += ["--host", "127.0.0.1", "--num_workers", "1", "--telemetry", "False"]
    environ = {
        "LITELLM_LOG": "ERROR",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_MASTER_KEY": _KEY,
    }
    process = await _started(stack, command, port, core, environ)

    def target(scenario: Scenario) -> Target | None:
        place = PLACES[scenario.place]
        if place.way != "plain" or scenario.rate_per_s > 100 or scenario.setting != "embedded":
            return None
        body = scenario.body(f"{scenario.place}-model")
        return Target("127.0.0.1", port, request(PATHS[scenario.client], _KEY, body))

    return Subject("litellm", process.pid, target, rewrites=True)


def install() -> None:
    """Install nginx with apt-get and LiteLLM with pip, the latter in a folder of its own."""
    if shutil.which("nginx", path=_SBIN) is None:
        subprocess.run(
            ["apt-get", "install", "--yes", "--no-install-recommends", "nginx"], check=False
        )
    if not (_LITELLM / "bin" / "litellm").exists():
        subprocess.run([sys.executable, "-m", "venv", str(_LITELLM)], check=True)
        pip = str(_LITELLM / "bin" / "pip")
        subprocess.run([pip, "install", "--quiet", _LITELLM_PACKAGE], check=False)


def _raw_target(
    scenario: Scenario, port: int, prefix: str = "", *, tls: bool = False
) -> Target | None:
    place = PLACES[scenario.place]
    fits = place.way == "plain" or (tls and place.way == "tls")
    if not (scenario.raw and fits and scenario.setting == "embedded"):
        return None
    path = f"{prefix}/{place.behaviour}{PATHS[scenario.client]}"
    return Target("127.0.0.1", port, request(path, _KEY, scenario.body(f"{scenario.place}-model")))


def _litellm_config(upstreams: Upstreams) -> dict[str, object]:
    models = []
    for name, place in PLACES.items():
        base = f"http://127.0.0.1:{upstreams.plain_port}/{place.behaviour}"
        is_chat = place.dialect == "chat"
        models.append(
            {
                "model_name": f"{name}-model",
                "litellm_params": {
                    "model": f"{'openai' if is_chat else 'anthropic'}/{name}-model",
                    "api_base": f"{base}/v1" if is_chat else base,
                    "api_key": "sk-upstream",
                    "use_chat_completions_api": True,
                },
            }
        )
    return {
        "model_list": models,
        "litellm_settings": {
            "use_chat_completions_url_for_anthropic_messages": True,
            "drop_params": True,
        },
        "general_settings": {"master_key": _KEY},
    }


async def _started(
    stack: AsyncExitStack,
    command: list[str],
    port: int,
    core: int,
    environ: dict[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program on one core and wait until it listens; the stack ends it."""
    process = subprocess.Popen(
        command,
        env=os.environ | (environ or {}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    stack.push_async_callback(_ended, process)
    began = time.monotonic()
    while not await asyncio.to_thread(_listens, port):
        if process.poll() is not None or time.monotonic() - began > _START_S:
            raise SetUpError(f"{Path(command[0]).name} did not start: {' '.join(command)}")
        await asyncio.sleep(0.05)
    return process


async def _ended(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        await asyncio.to_thread(process.wait, 5)
        return
    process.kill()
    process.wait()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
