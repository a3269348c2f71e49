"""A Gemini conversation, read into system text and turns.

What holds afterwards: every call has an id that occurs once, every result belongs to an earlier
call, and what a client replays in many small pieces is one part again.
"""

from typing import Final

from dialects import fields
from dialects.arguments import arguments_text
from dialects.call_ids import CallIds
from dialects.fields import dumps
from dialects.gemini.constants import DIALECT, VENDOR
from dialects.gemini.media import read_file, read_inline
from dialects.gemini.signed import read_signature
from dialects.signatures import Signature, brought_back
from models.content import Media, Message, Opaque, Part, Reasoning, Role, Text, ToolCall, ToolResult
from models.errors import BadRequest, Unrepresentable
from models.json_types import Json, JsonObject
from models.record import replace

_ROLES: Final[dict[str, Role]] = {"user": "user", "function": "user", "model": "assistant"}
_NOTES: Final = frozenset({"thought", "thoughtSignature"})
_LOST: Final = frozenset(
    {
        "audioTranscription",
        "mediaResolution",
        "partMetadata",
        "speechMetadata",
        "videoMetadata",
    }
)
"""What parts may say beside their content, and no other vendor knows."""
_CALL_FIELDS: Final = frozenset({"id", "name", "args"})
_RESULT_FIELDS: Final = frozenset({"id", "name", "response", "parts"})


def read_system(payload: JsonObject) -> tuple[Text, ...]:
    """Read `systemInstruction`: a content of text parts, or a string."""
    value, where = payload.get("systemInstruction"), "systemInstruction"
    if value is None or isinstance(value, str):
        return (Text(value),) if value else ()
    content = fields.mapping(payload, where)
    texts = []
    for at, part in enumerate(_parts(content, where)):
        if part.keys() & {"inlineData", "fileData"}:
            path = f"{where}.parts[{at}]"
            raise Unrepresentable(f"{path}: only text can be translated here", path=path)
        texts.append(Text(fields.optional_text(part, "text", f"{where}.parts[{at}]") or ""))
    return tuple(text for text in texts if text.text)


def _parts(content: JsonObject, where: str) -> list[JsonObject]:
    """Return a content's parts; one alone may stand without its list."""
    if isinstance(content.get("parts"), dict):
        return [fields.mapping(content, "parts", where)]
    return fields.optional_objects(content, "parts", where)


class ContentsReader:
    """Reads one content after the other; knows the calls that came before."""

    def __init__(self) -> None:
        self.lost: dict[str, Json] = {}
        """What was said that no other format can say: path -> value."""
        self._ids = CallIds()
        self._open: list[tuple[str, str]] = []
        """Name and id of the last turn's calls that have no result yet."""
        self._role: Role | None = None

    def read(self, payload: JsonObject) -> tuple[Message, ...]:
        """Read `contents`, a list or a content alone."""
        value = payload.get("contents")
        listed = [value] if isinstance(value, dict) else fields.items(payload, "contents")
        if not listed:
            raise fields.wrong("contents", "at least one content")
        turns: list[_Turn] = []
        for at, content in enumerate(listed):
            where = f"contents[{at}]"
            if not isinstance(content, dict):
                raise fields.wrong(where, "an object")
            role = self._begun(content, where)
            # A streamed answer comes back in as many contents as it had chunks.
            if role == "user" or not turns or turns[-1].role != role:
                turns.append(_Turn(role, where))
            self._content(content, where, turns[-1])
        return tuple(turn.message() for turn in turns)

    def _begun(self, content: JsonObject, where: str) -> Role:
        given = (fields.optional_text(content, "role", where) or "user").lower()
        role = _ROLES.get(given)
        if role is None:
            path = f"{where}.role"
            raise BadRequest(f"{path}: Please use a valid role: user, model.", path=path)
        if role == "assistant" and self._role != "assistant":
            self._ids.begin_turn()
            self._open = []
        self._role = role
        return role

    def _content(self, content: JsonObject, where: str, turn: "_Turn") -> None:
        self.lost.update(
            {f"contents.{key}": content[key] for key in content.keys() - {"role", "parts"}}
        )
        for at, part in enumerate(_parts(content, where)):
            path = f"{where}.parts[{at}]"
            kind = self._kind(part, path)
            signature = read_signature(fields.optional_text(part, "thoughtSignature", path))
            if kind == "text":
                is_thought = fields.optional_bool(part, "thought", path) or False
                text = fields.optional_text(part, "text", path) or ""
                turn.run.add(text, signature, is_thought=is_thought and turn.role == "assistant")
            else:
                turn.run.end()
                turn.parts.extend(self._part(part, kind, path, turn.role, signature))

    def _kind(self, part: JsonObject, where: str) -> str:
        """Return the part's only data field."""
        self.lost.update(
            {f"contents.parts.{key}": value for key, value in part.items() if key in _LOST}
        )
        kinds = [
            key
            for key, value in part.items()
            if value is not None and key not in _NOTES and key not in _LOST
        ]
        if len(kinds) > 1:
            raise BadRequest(f"{where}: has {' and '.join(kinds)[:200]}, expected one", path=where)
        if not kinds and not part.keys() & _NOTES:
            raise BadRequest(
                f"{where}: required oneof field 'data' must have one initialized field", path=where
            )
        return kinds[0] if kinds else "text"  # empty text is left out, its signature is not

    def _part(
        self, part: JsonObject, kind: str, where: str, role: Role, signature: Signature | None
    ) -> list[Part]:
        here = f"{where}.{kind}"
        match kind:
            case "inlineData":
                return [read_inline(fields.mapping(part, kind, where), here)]
            case "fileData":
                return [read_file(fields.mapping(part, kind, where), here)]
            case "functionCall" if role == "assistant":
                return self._call(fields.mapping(part, kind, where), here, signature)
            case "functionResponse" if role == "user":
                return [self._result(fields.mapping(part, kind, where), here)]
            case "functionCall" | "functionResponse":
                raise BadRequest(f"{here}: does not belong to this role", path=here)
            case _:
                return [Opaque(DIALECT, part)]

    # --- tools --------------------------------------------------------------------------------

    def _call(self, call: JsonObject, where: str, signature: Signature | None) -> list[Part]:
        self._note(call, "functionCall", _CALL_FIELDS)
        name = _name(call, where)
        call_id = self._ids.call(fields.optional_text(call, "id", where) or "")
        self._open.append((name, call_id))
        arguments = fields.optional_mapping(call, "args", where) or {}
        written = ToolCall(call_id, name, arguments_text(arguments))
        if signature is None:
            return [written]
        if signature.of == "call" or signature.vendor == VENDOR:
            return [replace(written, signature=signature.value, origin=signature.vendor)]
        return [brought_back(signature, ""), written]

    def _result(self, result: JsonObject, where: str) -> ToolResult:
        self._note(result, "functionResponse", _RESULT_FIELDS)
        call_id = self._answered(
            _name(result, where), fields.optional_text(result, "id", where) or "", where
        )
        parts, is_error = _told(fields.optional_mapping(result, "response", where) or {})
        media = fields.optional_objects(result, "parts", where)
        attached = [_attached(part, f"{where}.parts[{at}]") for at, part in enumerate(media)]
        return ToolResult(call_id, (*parts, *attached), is_error=is_error, path=where)

    def _answered(self, name: str, given: str, where: str) -> str:
        """Return the id of the call that is answered: by id, else the first open one by name."""
        call_id = self._ids.result(given) if given else None
        if call_id is None:
            call_id = next(
                (open_id for open_name, open_id in self._open if open_name == name), None
            )
        if call_id is None:
            raise BadRequest(
                f"{where}: answers no call of the turn before; please ensure that function "
                "response turn comes immediately after a function call turn",
                path=where,
            )
        self._open = [
            (open_name, open_id) for open_name, open_id in self._open if open_id != call_id
        ]
        return call_id

    def _note(self, payload: JsonObject, kind: str, known: frozenset[str]) -> None:
        self.lost.update(
            {f"contents.parts.{kind}.{key}": payload[key] for key in payload.keys() - known}
        )


class _Turn:
    """One content, or all contents of the model that follow each other."""

    def __init__(self, role: Role, where: str) -> None:
        self.role = role
        self.parts: list[Part] = []
        self.run = _Run(self.parts)
        self._where = where

    def message(self) -> Message:
        """Return it; nothing comes any more."""
        self.run.end()
        return Message(self.role, tuple(self.parts), path=self._where)


class _Run:
    """Joins neighbouring pieces of one kind until one of them is signed, and includes that."""

    def __init__(self, parts: list[Part]) -> None:
        self._parts = parts
        self._pieces: list[str] = []
        self._is_thought = False
        self._is_open = False

    def add(self, text: str, signature: Signature | None, *, is_thought: bool) -> None:
        # A signature that has lost its thought by itself, behind text, is that text's.
        is_foreign = signature is not None and signature.vendor != VENDOR and not is_thought
        if self._is_open and (is_thought != self._is_thought or is_foreign):
            self.end()
        if is_foreign and signature is not None:
            self._parts.append(brought_back(signature, ""))
        self._is_thought, self._is_open = is_thought, True
        self._pieces.append(text)
        if signature is not None and not is_foreign:
            self._end(signature)

    def end(self) -> None:
        """Something else comes."""
        if self._is_open:
            self._end(None)

    def _end(self, signature: Signature | None) -> None:
        text = "".join(self._pieces)
        self._pieces.clear()
        self._is_open = False
        if not self._is_thought:
            self._parts.append(Text(text))
        elif signature is None:
            self._parts.append(Reasoning(text))
        else:
            self._parts.append(brought_back(signature, text))


def _name(payload: JsonObject, where: str) -> str:
    name = fields.text(payload, "name", where)
    if not name:
        raise fields.wrong(f"{where}.name", "the name of a function")
    return name


def _told(response: JsonObject) -> tuple[tuple[Text, ...], bool]:
    """Return what a tool said: its `output` alone, or the whole object as JSON."""
    if not response:
        return (), False
    output = response.get("output")
    if response.keys() == {"output"}:
        return (Text(output if isinstance(output, str) else dumps(output).decode()),), False
    is_error = "error" in response and "output" not in response
    return (Text(dumps(response).decode()),), is_error


def _attached(part: JsonObject, where: str) -> Media:
    if part.get("fileData") is not None:
        return read_file(fields.mapping(part, "fileData", where), f"{where}.fileData")
    return read_inline(fields.mapping(part, "inlineData", where), f"{where}.inlineData")
