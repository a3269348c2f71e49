"""What Anthropic refuses of thinking, of its signatures, and of samplers beside it."""

import re
from typing import Any

from tests.fakes.formats.base import need, stranger
from tests.fakes.scenarios import is_signed, sign

_EFFORTS = {"low", "medium", "high", "xhigh", "max"}


def redacted(vendor: str) -> str:
    """Return the data of a thinking block that the vendor hides."""
    return sign(vendor, "redacted")


def version(model: str) -> tuple[int, int] | None:
    """Return the version in a Claude name; None for other names."""
    found = re.match(r"claude-[a-z]+-(\d)(?:[-.](\d{1,2}))?(?!\d)", model)
    found = found or re.match(r"claude-(\d)-(\d)", model)
    return None if found is None else (int(found[1]), int(found[2] or 0))


def check_signature(block: dict[str, Any], vendor: str, where: str) -> None:
    """Refuse thinking that the vendor did not sign as it stands."""
    if block["type"] == "redacted_thinking":
        genuine = is_signed(block.get("data"), vendor, "redacted")
        need(genuine, f"{where}: Invalid `data` in `redacted_thinking` block")
        return
    need("signature" in block, f"{where}.thinking.signature: Field required")
    genuine = is_signed(block["signature"], vendor, block["thinking"])
    need(genuine, f"{where}: Invalid `signature` in `thinking` block")


def check(payload: dict[str, Any], api_version: str) -> None:
    """Check thinking, effort, samplers and the last message, as the model has them."""
    known = version(payload["model"])
    thinking = payload.get("thinking") or {}
    kind = thinking.get("type")
    extra = stranger(thinking, {"type", "budget_tokens", "display"})
    need(extra is None, f"thinking.{extra}: Extra inputs are not permitted")
    is_on = kind not in (None, "disabled")
    _check_kind(thinking, kind, known, payload.get("max_tokens"))
    _check_samplers(payload, known, is_on, api_version)
    if is_on:
        forced = (payload.get("tool_choice") or {}).get("type") in ("any", "tool")
        is_manual = known is None or known < (4, 6)
        need(
            not forced or not is_manual,
            "Thinking may not be enabled when tool_choice forces tool use.",
        )
        if kind == "enabled":
            _check_running_loop(payload["messages"])
    _check_effort(payload, known)
    _check_prefill(payload, known, is_on)


def _check_kind(
    thinking: dict[str, Any], kind: object, known: tuple[int, int] | None, limit: int | None
) -> None:
    if kind is None:
        return
    modes = ("enabled", "adaptive", "disabled", "between_tools")
    need(kind in modes, "thinking: Input tag does not match any of the expected tags")
    if kind == "enabled":
        budget = thinking.get("budget_tokens")
        need(type(budget) is int, "thinking.enabled.budget_tokens: Field required")
        assert isinstance(budget, int)
        need(budget >= 1024, "thinking.enabled.budget_tokens: must be at least 1024")
        need(limit is None or budget < limit, "`max_tokens` must be greater than budget_tokens")
    else:
        need("budget_tokens" not in thinking, "thinking.budget_tokens: Extra inputs")
    if known is not None:
        need(known >= (3, 7) or kind == "disabled", "thinking is not supported by this model")
        need(kind != "enabled" or known < (4, 7), 'thinking.type "enabled" is not supported')
        need(kind != "adaptive" or known >= (4, 6), "adaptive thinking is not supported")


def _check_samplers(
    payload: dict[str, Any], known: tuple[int, int] | None, is_on: bool, api_version: str
) -> None:
    given = [name for name in ("temperature", "top_p", "top_k") if name in payload]
    if api_version == "2026-10-21" or (known is not None and known >= (4, 7)):
        need(not given, f"{given}: not supported on this model")
    temperature, top_p = payload.get("temperature", 1), payload.get("top_p", 1)
    need(0 <= temperature <= 1, "temperature: Input should be less than or equal to 1")
    both = "temperature" in given and "top_p" in given
    need(
        not both or known is None or known < (4, 5),
        "`temperature` and `top_p` cannot both be specified for this model.",
    )
    if is_on:
        need(temperature == 1, "`temperature` may only be set to 1 when thinking is enabled.")
        need(top_p >= 0.95, "`top_p` must be >= 0.95 when thinking is enabled.")
        need("top_k" not in given, "`top_k` must be unset when thinking is enabled.")


def _check_effort(payload: dict[str, Any], known: tuple[int, int] | None) -> None:
    effort = (payload.get("output_config") or {}).get("effort")
    if effort is not None:
        need(effort in _EFFORTS, "output_config.effort: Input should be one of the efforts")
        is_old = known is not None and known < (4, 6)
        takes = not is_old or payload["model"].startswith("claude-opus-4-5")
        need(takes, "This model does not support the effort parameter.")


def _check_running_loop(messages: list[dict[str, Any]]) -> None:
    """The turn whose tools are being answered must begin with its thinking."""
    last = messages[-1]["content"]
    answers = isinstance(last, list) and any(block["type"] == "tool_result" for block in last)
    if not answers:
        return
    first = next(m["content"][0] for m in reversed(messages) if m["role"] == "assistant")
    need(
        first["type"] in ("thinking", "redacted_thinking"),
        f"Expected `thinking` or `redacted_thinking`, but found `{first['type']}`.",
    )


def _check_prefill(payload: dict[str, Any], known: tuple[int, int] | None, is_on: bool) -> None:
    last = payload["messages"][-1]
    if last["role"] != "assistant":
        return
    is_new = known is not None and known >= (4, 6)
    need(
        not is_new and not is_on,
        "This model does not support assistant message prefill. "
        "The conversation must end with a user message.",
    )
    content = last["content"]
    text = content if isinstance(content, str) else (content or [{}])[-1].get("text", "x")
    need(
        text == text.rstrip(),
        "messages: final assistant content cannot end with trailing whitespace",
    )
