"""GLM speaks two formats: each client's own one passes as it is."""

import json

import pytest

from dialects import DIALECTS
from dialects.anthropic import MESSAGES
from dialects.openai_chat import CHAT
from models.account import Account, AuthType, Credentials
from models.errors import ErrorKind
from providers import glm
from providers.base import Route, build_request
from services.plan import make_plan
from tests.services.executor_rig import make_request

ROUTE = Route(glm.PROVIDER, "glm-5")


def test_a_messages_client_is_passed_raw_to_the_messages_base() -> None:
    request = make_request("messages", "glm-5", thinking={"type": "enabled", "budget_tokens": 1024})
    plan = make_plan(request, MESSAGES, ROUTE, wants_usage=True)
    assert plan.body is request.body
    assert plan.mode == "raw"
    assert plan.offer.base_url == "https://open.bigmodel.cn/api/anthropic"


def test_a_chat_client_is_served_at_the_chat_base() -> None:
    plan = make_plan(make_request("chat", "glm-5"), CHAT, ROUTE, wants_usage=True)
    assert plan.offer.base_url == "https://open.bigmodel.cn/api/paas/v4"
    assert plan.upstream is CHAT


@pytest.mark.parametrize("auth_type", list(AuthType))
@pytest.mark.parametrize(
    ("dialect", "url"),
    [
        ("chat", "https://open.bigmodel.cn/api/paas/v4/chat/completions"),
        ("messages", "https://open.bigmodel.cn/api/anthropic/v1/messages"),
    ],
)
def test_both_are_signed_with_a_bearer_and_nothing_of_anthropics(
    dialect: str, url: str, auth_type: AuthType
) -> None:
    offer = glm.PROVIDER.offer_for(DIALECTS[dialect])
    assert offer is not None
    request = build_request(
        ROUTE,
        offer,
        offer.base_url,
        b"{}",
        stream=False,
        request_id="r",
        account=Account("a", "glm", "a", auth_type),
        credentials=Credentials("id.secret"),
        client_headers={},
        user_agent="aigateway/0",
    )
    assert request.url == url
    assert request.headers["authorization"] == "Bearer id.secret"
    assert not {"x-api-key", "anthropic-beta"} & set(request.headers)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"type": "rate_limit_error", "code": "1310", "message": "m"}, ErrorKind.QUOTA),
        ({"type": "rate_limit_error", "message": "[1302][slow down]"}, ErrorKind.RATE_LIMIT),
        (
            {
                "type": "invalid_request_error",
                "message": "The model has reached its context window limit.",
            },
            ErrorKind.CONTEXT_LENGTH,
        ),
    ],
)
def test_errors_of_the_messages_base_are_read_by_their_code(
    error: dict[str, str], kind: ErrorKind
) -> None:
    body = json.dumps({"type": "error", "error": error}).encode()
    assert glm.diagnose(MESSAGES, 400, {}, body).kind is kind
