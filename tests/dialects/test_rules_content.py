"""Every rule about what a user shows, part by part."""

import pytest

from dialects.anthropic import MESSAGES
from dialects.base import Dialect
from dialects.openai_chat import CHAT
from models.errors import Unrepresentable
from models.json_types import Json, JsonObject
from tests.dialects.routes import GLM, GLM_VISION, GPT, HI, MANUAL, sent

ASK: JsonObject = {"type": "text", "text": "Look"}
PNG: JsonObject = {"type": "base64", "media_type": "image/png", "data": "QUJD"}
PDF: JsonObject = {"type": "base64", "media_type": "application/pdf", "data": "QUJD"}
IMAGE: JsonObject = {"type": "image", "source": PNG}
IMAGE_URL: JsonObject = {
    "type": "image_url",
    "image_url": {"url": "data:image/png;base64,QUJD"},
}
BARE_IMAGE: JsonObject = {"type": "image_url", "image_url": {"url": "QUJD"}}
PDF_URL = "data:application/pdf;base64,QUJD"
CITED: JsonObject = {"citations": {"enabled": True}}


def words(text: str, **rest: Json) -> JsonObject:
    source: JsonObject = {"type": "text", "media_type": "text/plain", "data": text}
    return {"type": "document", "source": source, **rest}


def part(kind: str, **fields: Json) -> JsonObject:
    return {"type": kind, kind: fields}


PARTS = [
    pytest.param(MESSAGES, GPT, IMAGE, IMAGE_URL, (), id="image"),
    pytest.param(MESSAGES, GLM_VISION, IMAGE, BARE_IMAGE, (), id="image, GLM"),
    pytest.param(
        MESSAGES, GPT, {**IMAGE, "transformations": {"oversized_image": "error"}}, IMAGE_URL,
        ("transformations",), id="image made smaller",
    ),
    pytest.param(
        MESSAGES, GPT, {"type": "document", "source": PDF, "title": "a.pdf", **CITED},
        part("file", filename="a.pdf", file_data=PDF_URL), ("citations",), id="PDF",
    ),
    pytest.param(
        MESSAGES, GLM_VISION, {"type": "document", "source": PDF},
        part("file_url", url=PDF_URL), (), id="PDF, GLM",
    ),
    pytest.param(
        MESSAGES, GLM_VISION,
        {"type": "document", "source": {"type": "url", "url": "https://x.test/a.pdf"}},
        part("file_url", url="https://x.test/a.pdf"), (), id="PDF address, GLM",
    ),
    pytest.param(
        MESSAGES, GPT, words("w", title="T", context="C"),
        {"type": "text", "text": "T\nC\n\nw"}, (), id="text document",
    ),
    pytest.param(
        MESSAGES, GPT, words("w", citations={"enabled": False}),
        {"type": "text", "text": "w"}, (), id="no citations wanted",
    ),
    pytest.param(
        MESSAGES, GPT,
        {"type": "search_result", "source": "https://x.test", "title": "T",
         "content": [{"type": "text", "text": "w"}], **CITED},
        {"type": "text", "text": "T\nSource: https://x.test\n\nw"}, ("citations",),
        id="search result",
    ),
    pytest.param(CHAT, MANUAL, IMAGE_URL, IMAGE, (), id="image of Chat"),
    pytest.param(
        CHAT, MANUAL, part("image_url", url="data:image/jpg;base64,QUJD"),
        {"type": "image", "source": {**PNG, "media_type": "image/jpeg"}}, (), id="JPEG",
    ),
    pytest.param(
        CHAT, MANUAL, part("image_url", url="https://x.test/a", detail="high"),
        {"type": "image", "source": {"type": "url", "url": "https://x.test/a"}}, ("detail",),
        id="image address of Chat",
    ),
    pytest.param(
        CHAT, MANUAL, part("file", filename="a.pdf", file_data=PDF_URL),
        {"type": "document", "source": PDF, "title": "a.pdf"}, (), id="PDF of Chat",
    ),
    pytest.param(
        CHAT, MANUAL, part("file", filename="a.txt", file_data="data:text/plain;base64,dw=="),
        words("w", title="a.txt"), (), id="text file of Chat",
    ),
    pytest.param(
        CHAT, MANUAL, {"type": "text", "text": "w", "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": "w", "cache_control": {"type": "ephemeral"}}, (), id="cache mark",
    ),
    pytest.param(CHAT, GLM_VISION, part("video_url", url="https://x.test/v"),
                 part("video_url", url="https://x.test/v"), (), id="film, GLM"),
]  # fmt: skip


@pytest.mark.parametrize(("client", "model", "given", "expected", "dropped"), PARTS)
def test_user_parts(
    client: Dialect, model: str, given: JsonObject, expected: Json, dropped: tuple[str, ...]
) -> None:
    request = sent(client, model, messages=[{"role": "user", "content": [ASK, given]}])
    assert request.payload["messages"] == [{"role": "user", "content": [ASK, expected]}]
    assert request.dropped == dropped


@pytest.mark.parametrize(
    ("client", "model", "given"),
    [
        (MESSAGES, GPT, {"type": "image", "source": {"type": "file", "file_id": "f"}}),
        (MESSAGES, GPT, {"type": "document", "source": {"type": "url", "url": "https://x.test"}}),
        (MESSAGES, GPT, {"type": "container_upload", "file_id": "f"}),
        (MESSAGES, GLM, {"type": "document", "source": {"type": "file", "file_id": "f"}}),
        (CHAT, MANUAL, part("input_audio", data="QUJD", format="wav")),
        (CHAT, MANUAL, part("video_url", url="https://x.test/v")),
        (CHAT, MANUAL, part("file", file_id="file-1")),
        (CHAT, GLM, part("file", file_id="file-1")),
        (CHAT, MANUAL, part("image_url", url="data:image/bmp;base64,QUJD")),
        (CHAT, MANUAL, part("file", file_data="data:application/zip;base64,QUJD")),
        (CHAT, MANUAL, {"type": "strange"}),
    ],
)
def test_parts_that_would_be_lost_are_refused_by_their_place(
    client: Dialect, model: str, given: JsonObject
) -> None:
    with pytest.raises(Unrepresentable) as caught:
        sent(client, model, messages=[HI, {"role": "user", "content": [ASK, given]}])
    assert (caught.value.status, caught.value.path) == (400, "messages[1].content[1]")


@pytest.mark.parametrize("at", [0, 1])
def test_parts_that_would_be_lost_in_a_result_are_refused_by_their_place(at: int) -> None:
    use: JsonObject = {"type": "tool_use", "id": "a", "name": "f", "input": {}}
    file: JsonObject = {"type": "image", "source": {"type": "file", "file_id": "f"}}
    strange: JsonObject = {"type": "tool_reference", "tool_name": "x"}
    odd = (file, strange)[at]
    result: JsonObject = {"type": "tool_result", "tool_use_id": "a", "content": [ASK, odd]}
    history: list[Json] = [HI, {"role": "assistant", "content": [use]}]
    with pytest.raises(Unrepresentable) as caught:
        sent(MESSAGES, GPT, messages=[*history, {"role": "user", "content": [ASK, result]}])
    assert caught.value.path == "messages[2].content[1].content[1]"


def test_places_are_those_of_the_clients_own_body() -> None:
    """System text and results move on the way, so the places of others would be wrong."""
    calls: list[Json] = [
        {"id": name, "type": "function", "function": {"name": "f", "arguments": "{}"}}
        for name in "ab"
    ]
    film = part("video_url", url="https://x.test/v")
    history: list[Json] = [
        {"role": "system", "content": "S"},
        HI,
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "b", "content": "r"},
    ]
    answer: JsonObject = {"role": "tool", "tool_call_id": "a", "content": [ASK, film]}
    with pytest.raises(Unrepresentable) as caught:
        sent(CHAT, MANUAL, messages=[*history, answer])
    assert caught.value.path == "messages[4].content[1]"
    with pytest.raises(Unrepresentable) as caught:
        sent(CHAT, MANUAL, messages=[*history, {"role": "user", "content": [film]}])
    assert caught.value.path == "messages[4].content[0]"
