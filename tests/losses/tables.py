"""The tables of docs/dialects.md, made from what the code does."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from dialects import DIALECTS
from dialects.base import Dialect, Operation
from models.chat import FinishReason
from tests.losses.answers import TOLD, answer, fate, finish_word
from tests.losses.contents import CONTENTS
from tests.losses.feature import BASE, Feature
from tests.losses.knobs import KNOBS
from tests.losses.outcome import NEEDLESS, TARGETS, Fate, Outcome, Target, outcome

BEGIN: Final = "<!-- From here on: python -m tests.losses -->"
END: Final = "<!-- Up to here. -->"

FEATURES: Final[Sequence[Feature]] = [*CONTENTS, *KNOBS]
FORMATS: Final[Sequence[Dialect]] = [
    dialect
    for dialect in DIALECTS.values()
    if dialect.operation is Operation.GENERATE and dialect.name in BASE
]
_TITLES: Final = {
    "messages": "Messages",
    "chat": "Chat",
    "responses": "Responses",
    "gemini": "Gemini",
}


def cells() -> Iterator[tuple[Feature, Dialect, Target, Outcome]]:
    """Try every feature from every client to every provider."""
    for client in FORMATS:
        for feature in FEATURES:
            if client.name in feature.said:
                for target in TARGETS:
                    yield feature, client, target, outcome(feature, client, target)


def page(text: str) -> str:
    """Return the page with its made part made anew."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    made = "\n".join([BEGIN, "", *_requests(), *_answers(), *_finishes(), END])
    return head + made + tail


def _requests() -> Iterator[str]:
    for client in FORMATS:
        rows = {
            feature.name: [outcome(feature, client, target) for target in TARGETS]
            for feature in FEATURES
            if client.name in feature.said
        }
        raw = {
            at
            for at in range(len(TARGETS))
            if all(row[at].fate in (Fate.RAW, Fate.REFUSED) for row in rows.values())
            and any(row[at].fate is Fate.RAW for row in rows.values())
        }
        shown = [at for at in range(len(TARGETS)) if at not in raw]
        yield f"### What a {_TITLES[client.name]} client asks for"
        yield ""
        if raw:
            titles = ", ".join(TARGETS[at].title for at in sorted(raw))
            yield f"Raw: {titles}."
            yield ""
        head = [f"{TARGETS[at].title} (`{TARGETS[at].model}`)" for at in shown]
        yield from _table(
            ["", *head], ([name, *(_cell(row[at]) for at in shown)] for name, row in rows.items())
        )
    yield "Needless: " + "; ".join(f"{name}: {one.why}" for name, one in NEEDLESS.items()) + "."
    yield ""


def _cell(found: Outcome) -> str:
    names = ", ".join(f"`{name}`" for name in found.named)
    return f"{found.fate.value} {names}".strip()


def _answers() -> Iterator[str]:
    for provider in FORMATS:
        clients = [client for client in FORMATS if client is not provider]
        heard = {told: answer(told, provider) for told in TOLD}
        yield f"### What a provider of the {_TITLES[provider.name]} format answers"
        yield ""
        yield from _table(
            ["", *(f"{_TITLES[client.name]} client" for client in clients)],
            (
                [told.name, *(fate(told, whole, client) for client in clients)]
                for told, whole in heard.items()
                if whole is not None
            ),
        )


def _finishes() -> Iterator[str]:
    yield "### Why an answer ends"
    yield ""
    yield from _table(
        ["", *(_TITLES[client.name] for client in FORMATS)],
        (
            [
                reason.value.replace("_", " "),
                *(f"`{finish_word(reason, client)}`" for client in FORMATS),
            ]
            for reason in FinishReason
        ),
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield _row(head)
    yield "|" + "---|" * len(head)
    yield from map(_row, rows)
    yield ""


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
