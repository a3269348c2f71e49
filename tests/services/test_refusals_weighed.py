"""What a client is told when one provider refuses its request and the other has nobody to ask."""

import pytest

from models.account import StoredAccount
from models.errors import BadRequest, ErrorKind, NoCapacity
from models.rest import EVERY_MODEL, Rest
from tests.builders import make_provider, make_stored
from tests.services.executor_rig import Rig, chat_answer, make_request

REFUSES = make_provider("a", prefixes=("gpt-",))
OTHER = make_provider("b", prefixes=("gpt-",))
WRONG = {"messages": [{"role": "user"}]}


def rig(*accounts: StoredAccount, order: str = "ab") -> Rig:
    """Messages' clients, whose wrong request both Chat providers refuse when they have accounts."""
    providers = [{"a": REFUSES, "b": OTHER}[name] for name in order]
    return Rig(chat_answer, list(accounts), providers=providers)


@pytest.mark.parametrize("order", ["ab", "ba"])
@pytest.mark.parametrize(
    "others",
    [
        pytest.param((), id="has none"),
        pytest.param(
            (make_stored(2, provider_id="b", is_active=False),), id="has one switched off"
        ),
    ],
)
async def test_a_wrong_request_is_told_though_another_provider_has_nobody(
    order: str, others: tuple[StoredAccount, ...]
) -> None:
    made = rig(make_stored(1, provider_id="a"), *others, order=order)
    with pytest.raises(BadRequest) as caught:
        await made.ask(make_request("messages", **WRONG))  # type: ignore[arg-type]
    assert caught.value.status == 400


@pytest.mark.parametrize("order", ["ab", "ba"])
async def test_who_only_rests_may_serve_later(order: str) -> None:
    made = rig(make_stored(1, provider_id="a"), make_stored(2, provider_id="b"), order=order)
    now = made.clock.now()
    resting = make_stored(2).account.id
    made.cooldowns.begin(Rest(resting, EVERY_MODEL, now, now + 60, ErrorKind.RATE_LIMIT))
    with pytest.raises(NoCapacity):
        await made.ask(make_request("messages", **WRONG))  # type: ignore[arg-type]


@pytest.mark.parametrize("order", ["ab", "ba"])
async def test_of_two_without_accounts_the_one_that_has_some_is_named(order: str) -> None:
    made = rig(make_stored(1, provider_id="a", is_active=False), order=order)
    with pytest.raises(NoCapacity, match="'a'"):
        await made.ask(make_request())
