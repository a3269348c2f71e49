"""Errors through the official SDKs: the exception that each defines, before and inside a stream."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.e2e.cells import Cell, cells, rested
from tests.e2e.sdks.asking import Ask
from tests.fakes.provider import WORDS, Break, Failure
from tests.fakes.scenarios import Call, Scenario

pytestmark = pytest.mark.asyncio(loop_scope="session")

LONG = Scenario(text=tuple(f"word {number} " for number in range(20)))


@pytest_asyncio.fixture(loop_scope="session", autouse=True)
async def rest(cell: Cell) -> AsyncIterator[None]:
    """Accounts that failed are used again."""
    yield
    await rested(cell)


@cells(streams=(False,))
@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503])
async def test_a_providers_error_raises_the_sdks_own_exception(cell: Cell, status: int) -> None:
    for key in ("key-0", "key-1"):
        cell.provider.failures_by_key[key] = Failure(status)
    with pytest.raises(cell.sdk.errors[status]) as caught:
        await cell.ask()
    error: Any = caught.value
    if status in (400, 404):
        assert WORDS in str(error)
    assert "key-0" not in str(error)


@cells(streams=(True,))
async def test_an_error_before_a_stream_is_the_same_exception(cell: Cell) -> None:
    for status in (400, 404, 429, 503):
        for key in ("key-0", "key-1"):
            cell.provider.failures_by_key[key] = Failure(status)
        with pytest.raises(cell.sdk.errors[status]):
            await cell.ask()
        await rested(cell)


@cells(streams=(False,))
async def test_how_long_to_wait_is_told_in_the_clients_own_way(cell: Cell) -> None:
    wait = Failure(429, headers={"retry-after": "17"})
    cell.provider.failures_by_key = {"key-0": wait, "key-1": wait}
    with pytest.raises(cell.sdk.errors[429]) as caught:
        await cell.ask()
    error: Any = caught.value
    assert error.response.headers["retry-after"] == "17"
    if cell.sdk_name == "google":
        assert re.search(r"'retryDelay': '1[67][.\d]*s'", str(error))


@cells(streams=(False,))
async def test_pain_17_what_was_tried_is_in_the_sdks_exception(cell: Cell) -> None:
    for key in ("key-0", "key-1"):
        cell.provider.failures_by_key[key] = Failure(429)
    with pytest.raises(cell.sdk.errors[429]) as caught:
        await cell.ask()
    error: Any = caught.value
    told = error.details if cell.sdk_name == "google" else error.body
    assert str(told).count("rate_limit") >= 2
    assert "cooling_rate_limit" in str(told)
    assert "earliest_recovery" in str(told)


@cells()
@pytest.mark.parametrize("status", [401, 429, 503])
async def test_the_next_account_serves_what_one_could_not(cell: Cell, status: int) -> None:
    cell.provider.failures = [Failure(status)]
    assert (await cell.ask()).text == "Hello wörld ✓"
    assert [seen.key for seen in cell.provider.seen] != ["key-0"]
    assert len(cell.provider.seen) == 2


@cells(streams=(True,))
async def test_overload_inside_a_stream_before_content_fails_over(cell: Cell) -> None:
    cell.provider.breaks = [Break(0, 503)]
    got = await cell.ask()
    assert got.text == "Hello wörld ✓"
    first, second = cell.provider.seen
    assert first.key != second.key


@cells(streams=(True,))
async def test_an_error_after_content_is_told_in_the_stream(cell: Cell) -> None:
    cell.plays(LONG)
    cell.provider.breaks = [Break(10, 500)]
    with pytest.raises(cell.sdk.stream_errors):
        await cell.ask()
    assert len(cell.provider.seen) == 1


@cells(streams=(True,))
@pytest.mark.parametrize("how", ["end", "connection"])
async def test_a_stream_without_its_end_is_told(cell: Cell, how: str) -> None:
    cell.plays(LONG)
    if how == "end":
        cell.provider.breaks = [Break(10)]
    else:
        cell.provider.cut_after = 10
    with pytest.raises(cell.sdk.stream_errors):
        await cell.ask()


@cells(streams=(True,))
async def test_a_call_that_is_cut_off_is_not_given_to_the_user_as_whole(cell: Cell) -> None:
    call = Call("call_a", "wx", {"city": "Rome" * 10})
    cell.plays(Scenario(text=("Wait. ",), calls=(call,), stop="tools"))
    cell.provider.breaks = [Break(-1 if cell.target.kind in ("gemini", "antigravity") else -3)]
    with pytest.raises(cell.sdk.stream_errors):
        await cell.ask(Ask("Weather?", tools=("wx",)))


@cells()
async def test_a_key_that_is_none_is_an_authentication_error(cell: Cell) -> None:
    key, cell.rig.key = cell.rig.key, "ak_wrong"
    try:
        with pytest.raises(Exception, match=r"401|[Kk]ey") as caught:
            await cell.ask()
    finally:
        cell.rig.key = key
    error: Any = caught.value
    assert getattr(error, "status_code", getattr(error, "code", None)) == 401
    assert cell.provider.seen == []


@cells()
async def test_an_unknown_model_is_not_found(cell: Cell) -> None:
    with pytest.raises(cell.sdk.errors[404]):
        await cell.sdk.ask(cell.rig, "llama", Ask(), stream=cell.stream)
