"""What each client gets of each provider's answers: computed, stored, compared.

`python -m tests.wire.results --rewrite` writes `results/` anew; the difference is to be read
before it is committed.
"""

import argparse
import json
from pathlib import Path
from typing import Final

from tests.wire import exchanges
from tests.wire.exchanges import NAMES, SCENARIOS

FOLDER: Final = Path(__file__).parent / "results"
_KEPT: Final = ("id", "status", "incomplete_details", "output", "usage")
_SEPARATORS: Final = {0x85: "<U+0085>", 0x2028: "<U+2028>"}
PAIRS: Final = [(provider, client) for provider in NAMES for client in NAMES if provider != client]


def file_of(provider: str, client: str) -> Path:
    return FOLDER / f"{provider}-to-{client}.txt"


def told(provider: str, client: str) -> str:
    """Return every scenario's answer, whole and streamed, as text to be read."""
    return "".join(
        f"=== {name}\n{_whole(provider, client, name)}\n--- streamed\n"
        f"{_streamed(provider, client, name)}"
        for name in SCENARIOS
    )


def _whole(provider: str, client: str, name: str) -> str:
    answer = exchanges.whole(provider, SCENARIOS[name])
    response = exchanges.dialect(provider).decode_response(answer)
    payload = exchanges.dialect(client).encode_response(response, exchanges.context())
    return json.dumps(payload, ensure_ascii=True, separators=(",", ":"))


def _streamed(provider: str, client: str, name: str) -> str:
    decoder = exchanges.dialect(provider).decoder(exchanges.profile(provider))
    encoder = exchanges.dialect(client).encoder(exchanges.context())
    frames = exchanges.stream(provider, SCENARIOS[name])
    events = [event for frame in frames for event in decoder.feed(frame)]
    events += decoder.end()
    text = b"".join(encoder.encode(event) for event in events).decode()
    lines = [line for line in text.replace("\r", "").split("\n") if line]
    return "".join(f"{_told(line)}\n" for line in lines if not line.startswith("event:"))


def _told(line: str) -> str:
    """Return a frame without what all of them repeat; separators of lines are spelled out."""
    event = json.loads(line.removeprefix("data: ")) if line.startswith("data: {") else {}
    if "response" in event:
        kept = {name: event["response"][name] for name in _KEPT}
        line = "data: " + json.dumps({**event, "response": kept}, separators=(",", ":"))
    return line.translate(_SEPARATORS)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rewrite", action="store_true", required=True)
    parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    for provider, client in PAIRS:
        file_of(provider, client).write_text(told(provider, client))


if __name__ == "__main__":
    main()
