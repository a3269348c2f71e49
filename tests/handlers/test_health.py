import pytest

from tests.handlers.api import Api


@pytest.mark.parametrize("path", ["/health", "/health/ready"])
async def test_health_tells_how_we_are_and_nothing_else(api: Api, path: str) -> None:
    told = await api.get(path)
    assert (told.status, told.json) == (
        200,
        {"status": "ok", "components": {"database": "ok"}},
    )


async def test_a_store_that_is_away_is_shown_but_requests_still_come(api: Api) -> None:
    api.gateway.health.components = {"database": lambda: True, "redis": lambda: False}
    told = await api.get("/health/ready")
    assert (told.status, told.json) == (
        200,
        {"status": "ok", "components": {"database": "ok", "redis": "degraded"}},
    )


async def test_while_starting_or_stopping_requests_go_elsewhere(api: Api) -> None:
    api.gateway.health.is_ready = False
    told = await api.get("/health/ready")
    assert (told.status, told.json["status"]) == (503, "not ready")
    live = await api.get("/health/live")
    assert (live.status, live.json) == (200, {"status": "ok"})
