"""Puts a conversation into the order that Anthropic demands.

Turns of one role are one message; every tool call is answered in the very next message, all
answers first and in the order of the calls.
"""

from dataclasses import dataclass, field
from typing import Final

from dialects.anthropic.write_content import Outgoing, collapsed, write_parts, write_text
from models.chat import ChatRequest
from models.content import Message, Text
from models.errors import BadRequest
from models.json_types import Json, JsonObject
from models.profile import Profile

PLACEHOLDER: Final = "Continue."
"""What the user says where Anthropic needs a user turn and the client has none."""

NOT_EXECUTED: Final = "[tool call was not executed]"

_THOUGHTS: Final = frozenset({"thinking", "redacted_thinking"})


@dataclass(slots=True)
class Turn:
    """A message that is being put together."""

    role: str
    blocks: list[JsonObject] = field(default_factory=list)

    def has(self, kind: str) -> bool:
        return any(block.get("type") == kind for block in self.blocks)

    def payload(self) -> JsonObject:
        blocks: list[Json] = [*self.blocks]
        return {"role": self.role, "content": collapsed(blocks)}


def write_turns(request: ChatRequest, profile: Profile, out: Outgoing) -> list[Turn]:
    """Return the conversation as turns that Anthropic accepts."""
    turns: list[Turn] = []
    for index, message in enumerate(request.messages):
        path = f"{message.path or f'messages[{index}]'}.content"
        if message.role == "system":
            _add_system(turns, message, path, profile, out)
        else:
            _add(turns, message.role, write_parts(message.parts, path, message.role, out))
        if message.name is not None:
            out.dropped.append("name")
    if not turns or turns[0].role == "assistant":
        turns.insert(0, _said(PLACEHOLDER))
    answered = _answered(turns)
    _finish(answered, profile)
    return answered


def lacks_thinking(turns: list[Turn]) -> bool:
    """Say whether a tool loop is running whose assistant turn does not begin with thinking.

    Models with a thinking budget refuse such a request while thinking is enabled.
    """
    at = max((at for at, turn in enumerate(turns) if turn.role == "assistant"), default=-1)
    if at < 0 or at + 1 == len(turns) or not turns[at + 1].has("tool_result"):
        return False
    return turns[at].blocks[0].get("type") not in _THOUGHTS


def _add(turns: list[Turn], role: str, blocks: list[JsonObject]) -> None:
    if not blocks:
        return
    if not turns or turns[-1].role != role:
        turns.append(Turn(role))
    turns[-1].blocks.extend(blocks)


def _add_system(
    turns: list[Turn], message: Message, path: str, profile: Profile, out: Outgoing
) -> None:
    blocks = write_parts(message.parts, path, "system", out)
    follows_user = bool(turns) and turns[-1].role in ("user", "system")
    if profile.system_in_messages and follows_user:
        _add(turns, "system", blocks)
        return
    text = "\n\n".join(str(block["text"]) for block in blocks if block.get("type") == "text")
    if text:
        reminder = f"<system-reminder>\n{text}\n</system-reminder>"
        _add(turns, "user", [{"type": "text", "text": reminder}])


def _said(text: str) -> Turn:
    block = write_text(Text(text))
    return Turn("user", [block] if block else [])


def no_prefill() -> BadRequest:
    """Return what Anthropic says where a model cannot continue its own answer."""
    return BadRequest(
        "messages: This model does not support assistant message prefill. "
        "The conversation must end with a user message.",
        path="messages",
    )


# --- tool calls and their answers -------------------------------------------------------------


def _answered(turns: list[Turn]) -> list[Turn]:
    """Return the turns with every tool call answered right after it."""
    done: list[Turn] = []
    waiting: list[str] = []
    for turn in turns:
        if waiting and turn.role != "user":
            done.append(Turn("user", _answers({}, waiting)))
            waiting = []
        if turn.role == "assistant":
            turn.blocks = _calls_last(turn.blocks)
            waiting = [str(block["id"]) for block in turn.blocks if block["type"] == "tool_use"]
        elif turn.role == "user":
            turn.blocks = _answers_first(turn.blocks, waiting)
            waiting = []
        done.append(turn)
    if waiting:
        done.append(Turn("user", _answers({}, waiting)))
    return done


def _answers_first(blocks: list[JsonObject], waiting: list[str]) -> list[JsonObject]:
    known = set(waiting)
    given: dict[str, JsonObject] = {}
    rest: list[JsonObject] = []
    for block in blocks:
        if block.get("type") != "tool_result":
            rest.append(block)
            continue
        call_id = str(block["tool_use_id"])
        if call_id not in known:
            raise BadRequest(
                f"messages: the tool result for {call_id!r} answers no tool call of the "
                "assistant turn right before it",
                path="messages",
            )
        given[call_id] = block  # of two answers to one call the later one counts
    return [*_answers(given, waiting), *rest]


def _answers(given: dict[str, JsonObject], waiting: list[str]) -> list[JsonObject]:
    return [given.get(call_id) or _not_executed(call_id) for call_id in waiting]


def _not_executed(call_id: str) -> JsonObject:
    return {
        "type": "tool_result",
        "tool_use_id": call_id,
        "content": NOT_EXECUTED,
        "is_error": True,
    }


def _calls_last(blocks: list[JsonObject]) -> list[JsonObject]:
    """Move tool calls behind text; blocks that only Anthropic makes keep their order."""
    kinds = [block["type"] for block in blocks]
    if not {"text", "tool_use"} >= {kind for kind in kinds if kind not in _THOUGHTS}:
        return blocks
    calls = [block for block in blocks if block["type"] == "tool_use"]
    return [block for block in blocks if block["type"] != "tool_use"] + calls


def _finish(turns: list[Turn], profile: Profile) -> None:
    """Check a conversation that ends with the assistant: its answer is to be continued."""
    last = turns[-1]
    if last.role != "assistant":
        return
    if not profile.prefill:
        raise no_prefill()
    block = last.blocks[-1]
    if block.get("type") == "text":
        # `write_parts` let no blank text through, so something is left.
        last.blocks[-1] = {**block, "text": str(block["text"]).rstrip()}
