"""What each pretend provider serves, path by path."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal

from tests.fakes.formats import (
    chat,
    chat_rules,
    code_assist,
    code_assist_rules,
    gemini,
    gemini_rules,
    glm_rules,
    messages,
    messages_rules,
    openai_more,
    responses,
    responses_rules,
)
from tests.fakes.formats.base import Endpoint, Seen, asks_stream
from tests.fakes.formats.code_assist import Onboarding
from tests.fakes.scenarios import Scenario

Kind = Literal["messages", "chat", "glm", "gemini", "antigravity"]
"""Anthropic, OpenAI (Chat, Responses and the rest), GLM (Chat and Messages), Gemini, Code
Assist."""

Names = Callable[[], Sequence[str]]
"""The models that the provider has now."""


def endpoints(kind: Kind, names: Names, onboarding: Onboarding) -> list[Endpoint]:
    """Return what a provider's host serves."""
    match kind:
        case "messages":
            return _anthropic(names)
        case "chat":
            return _openai(names)
        case "glm":
            return _glm(names)
        case "gemini":
            return _gemini(names)
        case "antigravity":
            return _code_assist(names, onboarding)


def error_of(kind: Kind) -> Callable[[int, str], bytes]:
    """Return how the provider's main format writes an error."""
    return {
        "messages": messages.error,
        "chat": chat.error,
        "glm": chat.glm_error,
        "gemini": gemini.error,
        "antigravity": gemini.error,
    }[kind]


def _anthropic(names: Names) -> list[Endpoint]:
    return [
        _messages("/v1/messages", "anthropic"),
        Endpoint(
            "/v1/messages/count_tokens",
            lambda scenario, _: messages.count_json(scenario),
            messages.error,
            messages_rules.check_count,
        ),
        _list("/v1/models", lambda: messages.models_json(names()), messages.error),
    ]


def _messages(path: str, vendor: str) -> Endpoint:
    return Endpoint(
        path,
        lambda scenario, _: messages.messages_json(scenario, vendor),
        messages.error,
        partial(messages_rules.check, vendor=vendor),
        lambda scenario, _: messages.messages_stream(scenario, vendor),
        asks_stream,
        messages.stream_error,
    )


def _openai(names: Names) -> list[Endpoint]:
    return [
        Endpoint(
            "/chat/completions",
            lambda scenario, _: chat.chat_json(_silent(scenario)),
            chat.error,
            chat_rules.check,
            lambda scenario, seen: chat.chat_stream(
                _silent(scenario), include_usage=_asks_usage(seen)
            ),
            asks_stream,
            chat.stream_error,
        ),
        Endpoint(
            "/responses",
            lambda scenario, seen: responses.response_json(
                _encrypted(scenario, seen), seen.payload
            ),
            responses.error,
            responses_rules.check,
            lambda scenario, seen: responses.response_stream(
                _encrypted(scenario, seen), seen.payload
            ),
            asks_stream,
            responses.stream_error,
        ),
        Endpoint(
            "/responses/input_tokens",
            lambda scenario, _: responses.count_json(scenario),
            responses.error,
            responses_rules.check,
        ),
        Endpoint(
            "/completions",
            lambda scenario, _: openai_more.completion_json(scenario),
            chat.error,
            stream=lambda scenario, seen: openai_more.completion_stream(
                scenario, include_usage=_asks_usage(seen)
            ),
            wants_stream=asks_stream,
            stream_error=chat.stream_error,
        ),
        _embeddings(chat.error),
        _list("/models", lambda: chat.models_json(names()), chat.error),
    ]


def _glm_chat(path: str) -> Endpoint:
    return Endpoint(
        path,
        lambda scenario, _: chat.chat_json(scenario),
        chat.glm_error,
        glm_rules.check,
        lambda scenario, _: chat.chat_stream(scenario, include_usage=False, usage_with_finish=True),
        asks_stream,
        chat.glm_stream_error,
    )


def _glm(names: Names) -> list[Endpoint]:
    return [
        _glm_chat("/chat/completions"),
        _glm_chat("/api/paas/v4/chat/completions"),
        _messages("/api/anthropic/v1/messages", "glm"),
        _embeddings(chat.glm_error),
        _list("/models", lambda: chat.models_json(names()), chat.glm_error),
    ]


def _gemini(names: Names) -> list[Endpoint]:
    model = "/v1beta/models/{model:.+}"
    return [
        Endpoint(f"{model}:generateContent", _generate, gemini.error, gemini_rules.check),
        Endpoint(
            f"{model}:streamGenerateContent",
            _generate,
            gemini.error,
            gemini_rules.check,
            _gemini_stream,
            lambda _: True,
            gemini.stream_error,
            lambda seen: "text/event-stream" if _is_sse(seen) else "application/json",
        ),
        Endpoint(
            f"{model}:countTokens",
            lambda scenario, _: gemini.count_json(scenario),
            gemini.error,
            gemini_rules.check_count,
        ),
        _list("/v1beta/models", lambda: gemini.models_json(names()), gemini.error),
    ]


def _code_assist(names: Names, onboarding: Onboarding) -> list[Endpoint]:
    root = "/v1internal:"
    check = code_assist_rules.check
    step = partial(Endpoint, error=gemini.error, counts=False)
    return [
        Endpoint(
            f"{root}generateContent",
            lambda scenario, seen: code_assist.wrapped(_generate(scenario, seen)),
            gemini.error,
            check,
        ),
        Endpoint(
            f"{root}streamGenerateContent",
            _generate,
            gemini.error,
            check,
            lambda scenario, seen: code_assist.wrapped_events(_chunks(scenario, seen)),
            lambda _: True,
            gemini.stream_error,
        ),
        Endpoint(
            f"{root}countTokens",
            lambda scenario, _: gemini.count_json(scenario),
            gemini.error,
            code_assist_rules.check_count,
        ),
        step(f"{root}loadCodeAssist", lambda _, seen: onboarding.load(seen)),
        step(
            f"{root}onboardUser",
            lambda _, seen: onboarding.onboard(seen),
            check=code_assist_rules.check_onboarding,
        ),
        step(
            "/v1internal/operations/{name}",
            lambda _, seen: onboarding.poll(seen),
            method="GET",
        ),
        step(f"{root}fetchAvailableModels", lambda _scenario, _: code_assist.models_json(names())),
    ]


def _list(path: str, told: Callable[[], object], error: Callable[[int, str], bytes]) -> Endpoint:
    return Endpoint(path, lambda _scenario, _: told(), error, method="GET", counts=False)


def _embeddings(error: Callable[[int, str], bytes]) -> Endpoint:
    return Endpoint(
        "/embeddings",
        lambda scenario, seen: openai_more.embeddings_json(scenario, seen.payload),
        error,
    )


def _silent(scenario: Scenario) -> Scenario:
    """OpenAI's Chat never shows what was thought."""
    return replace(scenario, thinking=())


def _encrypted(scenario: Scenario, seen: Seen) -> Scenario:
    signature = scenario.signature or responses.encrypted_for(seen.key)
    return replace(scenario, signature=signature)


def _asks_usage(seen: Seen) -> bool:
    return bool((seen.payload.get("stream_options") or {}).get("include_usage"))


def _is_sse(seen: Seen) -> bool:
    return seen.query.get("alt") == "sse"


def _generate(scenario: Scenario, seen: Seen) -> gemini.Chunk:
    return gemini.generate_json(scenario, seen.model, thoughts=_asks_thoughts(seen))


def _chunks(scenario: Scenario, seen: Seen) -> Sequence[gemini.Chunk]:
    return list(gemini.generate_chunks(scenario, seen.model, thoughts=_asks_thoughts(seen)))


def _gemini_stream(scenario: Scenario, seen: Seen) -> Sequence[bytes]:
    written = gemini.as_events if _is_sse(seen) else gemini.as_array
    return list(written(_chunks(scenario, seen)))


def _asks_thoughts(seen: Seen) -> bool:
    payload = gemini_rules.camel(seen.payload)
    config = payload.get("request", payload).get("generationConfig") or {}
    return bool((config.get("thinkingConfig") or {}).get("includeThoughts"))
