"""Programs that look first whether anybody is there."""

from tests.handlers.api import Api


async def test_the_root_tells_a_name_to_anybody(api: Api) -> None:
    told = await api.call("GET", "/", headers={"x-api-key": ""})
    assert (told.status, told.json) == (200, {"name": "aigateway"})
    head = await api.call("HEAD", "/", headers={"x-api-key": ""})
    assert (head.status, head.text) == (200, "")
    assert (await api.call("POST", "/", {})).status == 405
