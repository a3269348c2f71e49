"""Features that are content: what user, assistant, system and tools say."""

from typing import Final

from models.json_types import Json, JsonObject
from tests.losses.feature import (
    MARK,
    MARK_BASE64,
    PDF,
    PNG,
    Feature,
    beside,
    history,
    knob,
    part,
    result,
)

_URL: Final = f"https://x.test/{MARK}"
_TEXT_BASE64: Final = "TUFSSyB3b3Jkcw=="
_TEXT: Final = f"data:text/plain;base64,{_TEXT_BASE64}"


def _block(kind: str, source: JsonObject, **more: Json) -> JsonObject:
    return {"type": kind, "source": source, **more}


def _inline(mime: str) -> JsonObject:
    return {"inlineData": {"mimeType": mime, "data": MARK_BASE64}}


SYSTEM: Final = [
    knob(
        "system text",
        messages={"system": MARK},
        chat={"messages": [{"role": "system", "content": MARK}, {"role": "user", "content": "Hi"}]},
        responses={"instructions": MARK},
        gemini={"systemInstruction": {"parts": [{"text": MARK}]}},
    ),
    history(
        "system text in the middle",
        chat=[{"role": "assistant", "content": "Ok"}, {"role": "developer", "content": MARK}],
        responses=[{"role": "assistant", "content": "Ok"}, {"role": "developer", "content": MARK}],
    ),
]

PARTS: Final = [
    part(
        "image, inline",
        messages=_block(
            "image", {"type": "base64", "media_type": "image/png", "data": MARK_BASE64}
        ),
        chat={"type": "image_url", "image_url": {"url": PNG}},
        responses={"type": "input_image", "image_url": PNG},
        gemini=_inline("image/png"),
    ),
    part(
        "image, address",
        messages=_block("image", {"type": "url", "url": _URL}),
        chat={"type": "image_url", "image_url": {"url": _URL}},
        responses={"type": "input_image", "image_url": _URL},
        gemini={"fileData": {"mimeType": "image/png", "fileUri": _URL}},
    ),
    part(
        "file id",
        messages=_block("document", {"type": "file", "file_id": MARK}),
        chat={"type": "file", "file": {"file_id": MARK}},
        responses={"type": "input_file", "file_id": MARK},
        gemini={
            "fileData": {
                "mimeType": "application/pdf",
                "fileUri": f"https://generativelanguage.googleapis.com/v1beta/files/{MARK}",
            }
        },
    ),
    part(
        "PDF, inline",
        messages=_block(
            "document",
            {"type": "base64", "media_type": "application/pdf", "data": MARK_BASE64},
        ),
        chat={"type": "file", "file": {"filename": "a.pdf", "file_data": PDF}},
        responses={"type": "input_file", "filename": "a.pdf", "file_data": PDF},
        gemini=_inline("application/pdf"),
    ),
    part(
        "PDF, address",
        messages=_block("document", {"type": "url", "url": _URL}),
        responses={"type": "input_file", "file_url": _URL},
    ),
    part(
        "text document",
        messages=_block(
            "document",
            {"type": "text", "media_type": "text/plain", "data": f"{MARK} words"},
            title=f"{MARK} title",
            context=f"{MARK} context",
        ),
        chat={
            "type": "file",
            "file": {
                "filename": f"{MARK}.txt",
                "file_data": _TEXT,
            },
        },
        responses={
            "type": "input_file",
            "filename": f"{MARK}.txt",
            "file_data": _TEXT,
        },
        gemini={"inlineData": {"mimeType": "text/plain", "data": _TEXT_BASE64}},
    ),
    part(
        "search result",
        messages={
            "type": "search_result",
            "source": f"https://{MARK}.test",
            "title": f"{MARK} title",
            "content": [{"type": "text", "text": f"{MARK} words"}],
        },
    ),
    part(
        "audio",
        chat={"type": "input_audio", "input_audio": {"data": MARK_BASE64, "format": "wav"}},
        responses={"type": "input_audio", "input_audio": {"data": MARK_BASE64, "format": "wav"}},
        gemini=_inline("audio/wav"),
    ),
    part(
        "video",
        chat={"type": "video_url", "video_url": {"url": _URL}},
        gemini=_inline("video/mp4"),
    ),
    part(
        "unknown part",
        messages={"type": "container_upload", "file_id": MARK},
        chat={"type": "hologram", "hologram": MARK},
        responses={"type": "input_hologram", "hologram": MARK},
        gemini={"executableCode": {"language": "PYTHON", "code": MARK}},
    ),
]

HISTORY: Final = [
    history(
        "tool call without a result",
        messages=[{"type": "tool_use", "id": "c1", "name": "wx", "input": {"city": MARK}}],
        chat=[
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": "c1",
                        "type": "function",
                        "function": {"name": "wx", "arguments": f'{{"city":"{MARK}"}}'},
                    }
                ],
            }
        ],
        responses=[
            {
                "type": "function_call",
                "call_id": "c1",
                "name": "wx",
                "arguments": f'{{"city":"{MARK}"}}',
            }
        ],
        gemini=[{"functionCall": {"name": "wx", "args": {"city": MARK}}}],
    ),
    history(
        "refusal in history",
        chat=[{"role": "assistant", "content": None, "refusal": f"{MARK} no"}],
        responses=[
            {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "refusal", "refusal": f"{MARK} no"}],
            }
        ],
    ),
    history(
        "thinking, signed",
        messages=[
            {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
            {"type": "text", "text": "Ok"},
        ],
        responses=[
            {"type": "reasoning", "summary": [], "encrypted_content": "c2ln"},
            {"role": "assistant", "content": "Ok"},
        ],
        gemini=[{"text": "hm", "thought": True, "thoughtSignature": "c2ln"}, {"text": "Ok"}],
    ),
    history(
        "thinking, unsigned",
        chat=[{"role": "assistant", "content": "Ok", "reasoning_content": "hm"}],
        gemini=[{"text": "hm", "thought": True}, {"text": "Ok"}],
    ),
    history(
        "cited text",
        messages=[
            {
                "type": "text",
                "text": "Ok",
                "citations": [
                    {
                        "type": "web_search_result_location",
                        "url": "https://x.test",
                        "title": "t",
                        "cited_text": "c",
                        "encrypted_index": "e",
                    }
                ],
            }
        ],
        responses=[
            {
                "type": "message",
                "role": "assistant",
                "content": [
                    {
                        "type": "output_text",
                        "text": "Ok",
                        "annotations": [
                            {
                                "type": "url_citation",
                                "url": "https://x.test",
                                "title": "t",
                                "start_index": 0,
                                "end_index": 2,
                            }
                        ],
                    }
                ],
            }
        ],
    ),
    history(
        "image made by the model",
        gemini=[_inline("image/png")],
    ),
    knob(
        "name of a speaker",
        chat={"messages": [{"role": "user", "name": "ada", "content": "Hi"}]},
    ),
    Feature(
        "prefill",
        {
            "messages": {
                "messages": [
                    {"role": "user", "content": "Hi"},
                    {"role": "assistant", "content": f"{MARK} so"},
                ]
            },
            "chat": {
                "messages": [
                    {"role": "user", "content": "Hi"},
                    {"role": "assistant", "content": f"{MARK} so"},
                ]
            },
            "responses": {
                "input": [
                    {"role": "user", "content": "Hi"},
                    {"role": "assistant", "content": f"{MARK} so"},
                ]
            },
            "gemini": {
                "contents": [
                    {"role": "user", "parts": [{"text": "Hi"}]},
                    {"role": "model", "parts": [{"text": f"{MARK} so"}]},
                ]
            },
        },
    ),
]

RESULT: Final = result(
    "tool result",
    messages={"type": "tool_result", "tool_use_id": "call_1", "content": f"{MARK} 24"},
    chat={"role": "tool", "tool_call_id": "call_1", "content": f"{MARK} 24"},
    responses={"type": "function_call_output", "call_id": "call_1", "output": f"{MARK} 24"},
    gemini={
        "functionResponse": {"id": "call_1", "name": "wx", "response": {"output": f"{MARK} 24"}}
    },
)
RESULTS: Final = [
    RESULT,
    result(
        "tool result, an error",
        without=RESULT,
        messages={
            "type": "tool_result",
            "tool_use_id": "call_1",
            "content": f"{MARK} 24",
            "is_error": True,
        },
        gemini={
            "functionResponse": {"id": "call_1", "name": "wx", "response": {"error": f"{MARK} 24"}}
        },
    ),
    result(
        "tool result with an image",
        without=RESULT,
        messages={
            "type": "tool_result",
            "tool_use_id": "call_1",
            "content": [
                {"type": "text", "text": f"{MARK} 24"},
                _block("image", {"type": "base64", "media_type": "image/png", "data": MARK_BASE64}),
            ],
        },
        responses={
            "type": "function_call_output",
            "call_id": "call_1",
            "output": [
                {"type": "input_text", "text": f"{MARK} 24"},
                {"type": "input_image", "image_url": PNG},
            ],
        },
        gemini={
            "functionResponse": {
                "id": "call_1",
                "name": "wx",
                "response": {"output": f"{MARK} 24"},
                "parts": [_inline("image/png")],
            }
        },
    ),
]

CACHED: Final = beside(
    SYSTEM[0],
    "cache marks",
    messages={"system": [{"type": "text", "text": MARK, "cache_control": {"type": "ephemeral"}}]},
    chat={
        "messages": [
            {
                "role": "system",
                "content": [{"type": "text", "text": MARK, "cache_control": {"type": "ephemeral"}}],
            },
            {"role": "user", "content": "Hi"},
        ]
    },
)

_DOCUMENT: Final = _block("document", {"type": "text", "media_type": "text/plain", "data": "words"})
CITED: Final = beside(
    part("document", messages=_DOCUMENT),
    "citations wanted",
    messages=part("", messages={**_DOCUMENT, "citations": {"enabled": True}}).said["messages"],
)

_PLAIN_IMAGE: Final = part(
    "image",
    chat={"type": "image_url", "image_url": {"url": PNG}},
    responses={"type": "input_image", "image_url": PNG},
)
DETAIL: Final = beside(
    _PLAIN_IMAGE,
    "image, detail",
    **part(
        "",
        chat={"type": "image_url", "image_url": {"url": PNG, "detail": "high"}},
        responses={"type": "input_image", "image_url": PNG, "detail": "high"},
    ).said,
)

CONTENTS: Final = [*SYSTEM, *PARTS, *RESULTS, *HISTORY, DETAIL, CITED, CACHED]
