"""Pictures in an answer, for clients whose format has only text there."""

import pytest

from dialects.anthropic import MESSAGES
from dialects.media_text import media_text
from dialects.openai_chat import CHAT
from dialects.openai_completions import COMPLETIONS
from models.chat import ChatResponse, FinishReason
from models.content import Inline, Media, PlainText, Remote, Text, VendorFile
from models.events import replay
from models.json_types import JsonObject
from tests.dialects.answers import seen_in_chat_stream, seen_in_messages_stream
from tests.dialects.test_completions import context as legacy
from tests.dialects.test_rules_response import context
from tests.dialects.test_rules_stream import encoded

PICTURE = Media("image", Inline("image/png", "QUJD"))
MARKDOWN = "![image](data:image/png;base64,QUJD)"
ANSWER = ChatResponse("u", "m", 1, (Text("Here: "), PICTURE, Text("!")), FinishReason.STOP)
SAID = f"Here: {MARKDOWN}!"


@pytest.mark.parametrize(
    ("media", "text"),
    [
        (PICTURE, MARKDOWN),
        (Media("image", Remote("https://x.test/a.png")), "![image](https://x.test/a.png)"),
        (Media("image", VendorFile("gemini", "f")), "[image left out]"),
        (Media("audio", Inline("audio/wav", "QUJD")), "[audio of type audio/wav left out]"),
        (Media("video", Remote("https://x.test/v")), "[video left out]"),
        (Media("document", PlainText("x")), "[document left out]"),
    ],
)
def test_what_can_be_shown_is_shown_and_the_rest_is_named(media: Media, text: str) -> None:
    assert media_text(media) == text


def test_a_messages_client_sees_the_picture() -> None:
    whole = MESSAGES.encode_response(ANSWER, context(MESSAGES))
    texts = ["Here: ", MARKDOWN, "!"]
    assert whole["content"] == [{"type": "text", "text": text} for text in texts]
    raw = encoded(MESSAGES, list(replay(ANSWER)), context(MESSAGES))
    assert seen_in_messages_stream(raw).text == SAID


def test_a_chat_client_sees_the_picture() -> None:
    choices = CHAT.encode_response(ANSWER, context(CHAT))["choices"]
    assert isinstance(choices, list)
    assert isinstance(choices[0], dict)
    message = choices[0]["message"]
    assert isinstance(message, dict)
    assert message["content"] == SAID
    raw = encoded(CHAT, list(replay(ANSWER)), context(CHAT))
    assert seen_in_chat_stream(raw).text == SAID


def test_a_client_of_text_completions_sees_the_picture() -> None:
    choices = COMPLETIONS.encode_response(ANSWER, legacy())["choices"]
    assert choices == [{"text": SAID, "index": 0, "logprobs": None, "finish_reason": "stop"}]


def test_a_citation_after_a_picture_stands_where_its_text_does() -> None:
    source: JsonObject = {"url": "https://x.test", "title": "T"}
    cited = ChatResponse("u", "m", 1, (PICTURE, Text("x", citations=(source,))), FinishReason.STOP)
    place = {"start_index": len(MARKDOWN), "end_index": len(MARKDOWN) + 1}
    expected = [{"type": "url_citation", "url_citation": {**source, **place}}]
    choices = CHAT.encode_response(cited, context(CHAT))["choices"]
    assert isinstance(choices, list)
    assert isinstance(choices[0], dict)
    message = choices[0]["message"]
    assert isinstance(message, dict)
    assert message["annotations"] == expected
