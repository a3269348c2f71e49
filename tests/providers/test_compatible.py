from dataclasses import replace

import pytest

from dialects.anthropic import MESSAGES
from dialects.base import Dialect
from dialects.gemini import GEMINI, GEMINI_COUNT
from dialects.openai_chat import CHAT
from dialects.openai_completions import COMPLETIONS
from dialects.openai_embeddings import EMBEDDINGS
from dialects.openai_responses import RESPONSES
from models.account import Strategy
from models.errors import BadRequest, ErrorKind
from models.provider import StoredProvider
from providers import anthropic, glm, openai
from providers.compatible import configured, operator_provider, provider_of
from tests.providers import google_errors


def stored(dialect: str = "chat", base_url: str | None = "https://x.test/v1/") -> StoredProvider:
    return StoredProvider("own", "Own", dialect, base_url, ("own-",))


def test_an_operators_provider_speaks_its_format_at_its_address() -> None:
    chat = operator_provider(stored())
    assert (chat.id, chat.name, chat.prefixes) == ("own", "Own", ("own-",))
    assert [offer.dialect for offer in chat.offers] == [CHAT, COMPLETIONS, EMBEDDINGS]
    assert chat.main.base_url == "https://x.test/v1"
    assert chat.main.fixed_headers == {}
    messages = operator_provider(stored("messages", "https://x.test/a/b//"))
    assert [offer.dialect for offer in messages.offers] == [MESSAGES]
    assert messages.main.base_url == "https://x.test/a/b"
    assert messages.main.fixed_headers == {"anthropic-version": "2023-06-01"}


def test_compatible_servers_get_what_they_know() -> None:
    chat = operator_provider(stored())
    assert chat.main.profile("llama-3").legacy_max_tokens
    assert chat.main.profile("kimi-k2").reasoning_content
    assert chat.main.profile("glm-5").thinking == "switch"
    ours = chat.main.profile("openai/gpt-5")
    assert (ours.model, ours.legacy_max_tokens, ours.sampling) == ("openai/gpt-5", False, False)
    messages = operator_provider(stored("messages"))
    assert messages.main.profile("claude-opus-4-7").thinking == "adaptive"
    assert messages.main.profile("kimi-k2").thinking == "manual"


@pytest.mark.parametrize(
    ("dialect", "base_url", "path"),
    [("chat", None, "base_url"), ("chat", "", "base_url"), ("soap", "https://x.test", "dialect")],
)
def test_half_a_provider_is_refused(dialect: str, base_url: str | None, path: str) -> None:
    with pytest.raises(BadRequest) as caught:
        operator_provider(stored(dialect, base_url))
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("stored_name", "strategy"),
    [("fill_first", Strategy.FILL_FIRST), (None, None), ("of a newer version", None)],
)
def test_a_provider_has_the_strategy_of_its_row(
    stored_name: str | None, strategy: Strategy | None
) -> None:
    own = replace(stored(), strategy=stored_name)
    assert provider_of(own).strategy is strategy
    builtin = StoredProvider("openai", "OpenAI", "chat", strategy=stored_name)
    assert provider_of(builtin).strategy is strategy


def test_built_in_providers_take_another_address_and_prefixes() -> None:
    row = StoredProvider("openai", "OpenAI", "chat", "http://127.0.0.1:1/v1/", ("gpt-", "x-"))
    changed = configured(openai.PROVIDER, row)
    assert (changed.main.base_url, changed.prefixes) == ("http://127.0.0.1:1/v1", ("gpt-", "x-"))
    same = configured(anthropic.PROVIDER, StoredProvider("anthropic", "Anthropic", "messages"))
    assert same == anthropic.PROVIDER


def test_glm_speaks_messages_at_its_anthropic_address_only() -> None:
    row = StoredProvider("glm", "GLM", "chat", "https://api.z.ai/api/anthropic/")
    there = configured(glm.PROVIDER, row)
    assert [offer.dialect for offer in there.offers] == [MESSAGES]
    assert there.main.adapt is None
    assert there.main.profile("glm-5").thinking == "manual"
    row = StoredProvider("glm", "GLM", "chat", "https://api.z.ai/api/coding/paas/v4")
    assert configured(glm.PROVIDER, row).main.adapt is not None


@pytest.mark.parametrize(
    ("base_url", "offers"),
    [
        (
            "https://api.z.ai/api/paas/v4",
            [
                (CHAT, "https://api.z.ai/api/paas/v4"),
                (MESSAGES, "https://api.z.ai/api/anthropic"),
                (EMBEDDINGS, "https://api.z.ai/api/paas/v4"),
            ],
        ),
        (
            "https://open.bigmodel.cn/api/coding/paas/v4/",
            [
                (CHAT, "https://open.bigmodel.cn/api/coding/paas/v4"),
                (MESSAGES, "https://open.bigmodel.cn/api/anthropic"),
                (EMBEDDINGS, "https://open.bigmodel.cn/api/coding/paas/v4"),
            ],
        ),
        ("https://x.test/api/anthropic", [(MESSAGES, "https://x.test/api/anthropic")]),
        ("https://x.test/v1", [(CHAT, "https://x.test/v1"), (EMBEDDINGS, "https://x.test/v1")]),
    ],
)
def test_glms_formats_have_a_base_each_on_one_machine(
    base_url: str, offers: list[tuple[Dialect, str]]
) -> None:
    there = configured(glm.PROVIDER, StoredProvider("glm", "GLM", "chat", base_url))
    assert there.main.dialect is offers[0][0]
    assert {offer.dialect: offer.base_url for offer in there.offers} == dict(offers)


def test_an_operators_provider_may_speak_responses() -> None:
    responses = operator_provider(stored("responses"))
    assert [offer.dialect for offer in responses.offers] == [RESPONSES, EMBEDDINGS]
    assert {offer.base_url for offer in responses.offers} == {"https://x.test/v1"}
    legacy = responses.offer_for(COMPLETIONS)
    assert legacy is not None
    assert legacy.dialect is RESPONSES
    ours = responses.main.profile("openai/gpt-5")
    assert (ours.model, ours.vendor, ours.sampling) == ("openai/gpt-5", "openai", False)
    other = responses.main.profile("llama-4")
    assert (other.vendor, other.efforts) == ("", ("low", "medium", "high"))


@pytest.mark.parametrize("dialect", ["messages", "responses", "gemini"])
def test_signatures_of_others_are_kept_from_an_operators_provider(dialect: str) -> None:
    assert all(offer.foreign for offer in operator_provider(stored(dialect)).offers)


def test_a_row_is_the_built_in_provider_of_its_id_or_the_operators_own() -> None:
    row = StoredProvider("openai", "OpenAI", "chat", "http://127.0.0.1:1/v1/", ("gpt-",))
    assert provider_of(row) == configured(openai.PROVIDER, row)
    assert provider_of(stored()) == operator_provider(stored())


def test_an_operators_provider_may_speak_googles_format() -> None:
    gemini = operator_provider(stored("gemini", "https://x.test/"))
    assert [offer.dialect for offer in gemini.offers] == [GEMINI, GEMINI_COUNT]
    assert {offer.base_url for offer in gemini.offers} == {"https://x.test"}
    assert gemini.main.profile("gemini-3-pro").signed_calls
    body = google_errors.body(429, "RESOURCE_EXHAUSTED", "m", google_errors.retry("7s"))
    assert gemini.diagnose(GEMINI, 429, {}, body).retry_after_s == 7


@pytest.mark.parametrize(
    ("dialect", "header", "family"),
    [
        ("messages", "anthropic-ratelimit-requests-remaining", "opus"),
        ("chat", "x-ratelimit-remaining-requests", None),
        ("responses", "x-ratelimit-remaining-requests", None),
    ],
)
def test_limits_of_an_own_server_read_as_those_of_the_vendor_of_its_format(
    dialect: str, header: str, family: str | None
) -> None:
    own = operator_provider(StoredProvider("own", "Own", dialect, "https://x.test/v1"))
    (window,) = own.read_quota({header: "7"}, "m", 0.0)
    assert (window.window, window.remaining) == ("requests", 7)
    assert own.family_of("claude-opus-4-8") == family
    error = own.diagnose(own.main.dialect, 429, {header: "0", "retry-after": "9"}, b"{}")
    assert (error.kind, error.retry_after_s) == (ErrorKind.RATE_LIMIT, 9)
