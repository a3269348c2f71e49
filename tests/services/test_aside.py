"""Large requests are made ready beside the event loop."""

import threading

import pytest

from models.exchange import ProxyRequest
from models.json_types import Json
from services import executor
from services.aside import INLINE_BYTES, aside
from tests.builders import make_provider
from tests.services.executor_rig import Rig, chat_answer, make_request


@pytest.mark.parametrize(
    ("size_bytes", "is_here"), [(INLINE_BYTES, True), (INLINE_BYTES + 1, False)]
)
async def test_what_is_large_is_done_in_a_thread(size_bytes: int, is_here: bool) -> None:
    thread = await aside(size_bytes, threading.get_ident)
    assert (thread == threading.get_ident()) is is_here


async def test_an_error_comes_back() -> None:
    def fail() -> None:
        raise ValueError("here")

    with pytest.raises(ValueError, match="here"):
        await aside(INLINE_BYTES + 1, fail)


@pytest.mark.parametrize(
    ("dialect", "work"), [("messages", "make_plan"), ("messages.count", "own_answer")]
)
async def test_nobody_waits_while_a_large_request_is_read(
    monkeypatch: pytest.MonkeyPatch, dialect: str, work: str
) -> None:
    """Thirty megabytes of tiny parts take seconds to translate or to count."""
    threads: list[bool] = []
    real = getattr(executor, work)

    def watched(request: ProxyRequest, *rest: object, **named: object) -> object:
        threads.append(threading.current_thread() is threading.main_thread())
        return real(request, *rest, **named)

    monkeypatch.setattr(executor, work, watched)
    rig = Rig(chat_answer, providers=[make_provider("openai")])
    for text in ("short", "x" * INLINE_BYTES):
        messages: list[Json] = [{"role": "user", "content": text}]
        await rig.open(make_request(dialect, messages=messages))
    assert threads == [True, False]
