"""A request may name the models that serve in its stead."""

import pytest

from models.errors import UpstreamError
from tests.builders import make_provider, make_stored
from tests.fakes.provider import error_body
from tests.fakes.transport import Answer, Sent, whole
from tests.handlers.model_api import serving
from tests.services.executor_rig import Rig, chat_answer

pytestmark = pytest.mark.usefixtures("way")

PATH = "/v1/chat/completions"
BODY = {"model": "gpt-x", "messages": [{"role": "user", "content": "Hi"}]}


def rig() -> Rig:
    """Key 1 fails whatever is asked of it, key 9 serves the provider `second`."""

    def script(sent: Sent) -> Answer | UpstreamError:
        return chat_answer(sent) if sent.key == "key-9" else whole(error_body("chat", 500), 500)

    return Rig(
        script,
        [make_stored(1, provider_id="first"), make_stored(9, provider_id="second")],
        providers=[make_provider("first"), make_provider("second", prefixes=())],
    )


async def test_the_named_models_serve_in_the_stead_of_the_asked_one() -> None:
    made = rig()
    async with serving(made) as api:
        answer = await api.call(
            "POST", PATH, BODY, x_aigateway_fallback=" first/gpt-z ,, second/gpt-y"
        )
        assert answer.status == 200
        assert answer.headers["x-aigateway-provider"] == "second"
        assert answer.headers["x-aigateway-attempts"] == "3"
        assert api.records[0].model == "gpt-x"
        assert api.records[0].upstream_model == "gpt-y"


async def test_they_may_be_asked_at_once() -> None:
    made = rig()
    async with serving(made) as api:
        headers = {"x_aigateway_fallback": "second/gpt-y", "x_aigateway_fallback_mode": "race"}
        answer = await api.call("POST", PATH, BODY, **headers)
        assert answer.status == 200
        assert sorted(made.transport.keys) == ["key-1", "key-9"]


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        pytest.param({"x_aigateway_fallback_mode": "slowly"}, "sequential or race", id="mode"),
        pytest.param({"x_aigateway_fallback": ",".join(["m"] * 9)}, "at most 8", id="too many"),
    ],
)
async def test_what_cannot_be_read_is_refused_before_anybody_is_asked(
    headers: dict[str, str], told: str
) -> None:
    made = rig()
    async with serving(made) as api:
        answer = await api.call("POST", PATH, BODY, **headers)
        assert answer.status == 400
        assert told in await answer.text()
    assert made.transport.sent == []
