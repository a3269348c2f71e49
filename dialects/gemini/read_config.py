"""`generationConfig` of the Gemini format, read."""

from typing import Final

from dialects import fields
from dialects.efforts import parse_effort
from dialects.gemini.canonical import integer, number, word
from dialects.gemini.read_schema import read_schema
from dialects.stops import checked_stops
from models.chat import (
    NO_SAMPLING,
    NO_THINKING,
    TEXT_OUTPUT,
    OutputFormat,
    Sampling,
    Thinking,
)
from models.errors import BadRequest, Unrepresentable
from models.json_types import JsonObject
from models.record import record

CONFIG: Final = "generationConfig"
_THINKING: Final = f"{CONFIG}.thinkingConfig"
_LEVELS: Final = {0: "THINKING_LEVEL_UNSPECIFIED", 1: "LOW", 2: "MEDIUM", 3: "HIGH", 4: "MINIMAL"}
_SCHEMAS: Final = ("responseJsonSchema", "_responseJsonSchema", "responseSchema")
_SHAPE: Final = frozenset({"responseMimeType", *_SCHEMAS})
_KNOBS: Final = frozenset(
    {
        "candidateCount",
        "frequencyPenalty",
        "logprobs",
        "presencePenalty",
        "responseLogprobs",
        "seed",
        "temperature",
        "topK",
        "topP",
    }
)
_READ: Final = _KNOBS | {"maxOutputTokens", "stopSequences", "thinkingConfig"}


@record(frozen=True, slots=True)
class Config:
    """What `generationConfig` says."""

    max_tokens: int | None
    stop: tuple[str, ...]
    sampling: Sampling
    thinking: Thinking
    output: OutputFormat
    rest: JsonObject
    """What only Google knows: path -> value."""


def read_config(payload: JsonObject) -> Config:
    """Read `generationConfig`, an empty one where there is none."""
    config = fields.optional_mapping(payload, CONFIG) or {}
    output, of_output = _read_output(config)
    _check_modalities(config)
    rest = {
        f"{CONFIG}.{key}": value
        for key, value in config.items()
        if key not in _READ and key not in of_output and not _says_nothing(key, value)
    }
    return Config(
        read_max_tokens(config),
        checked_stops(
            fields.optional_texts(config, "stopSequences", CONFIG), f"{CONFIG}.stopSequences"
        ),
        _read_sampling(config),
        _read_thinking(config),
        output,
        rest,
    )


def read_max_tokens(config: JsonObject) -> int | None:
    """Return the longest answer wanted."""
    value = integer(config, "maxOutputTokens", CONFIG)
    if value is not None and value < 1:
        raise fields.wrong(f"{CONFIG}.maxOutputTokens", "a positive integer")
    return value


def _check_modalities(config: JsonObject) -> None:
    """Refuse an answer that would have to be spoken, or drawn without a word."""
    key = "responseModalities"
    given = config.get(key)
    wanted = {str(one).upper() for one in given} if isinstance(given, list) else set()
    if wanted and ("AUDIO" in wanted or "TEXT" not in wanted):
        path = f"{CONFIG}.{key}"
        raise Unrepresentable(f"{path}: only answers in text can be translated", path=path)


def _says_nothing(key: str, value: object) -> bool:
    return value is None or (key == "responseModalities" and value in ([], ["TEXT"], ["text"]))


def _read_sampling(config: JsonObject) -> Sampling:
    if _KNOBS.isdisjoint(config):
        return NO_SAMPLING
    return Sampling(
        temperature=number(config, "temperature", CONFIG),
        top_p=number(config, "topP", CONFIG),
        top_k=integer(config, "topK", CONFIG),
        frequency_penalty=number(config, "frequencyPenalty", CONFIG),
        presence_penalty=number(config, "presencePenalty", CONFIG),
        seed=integer(config, "seed", CONFIG),
        n=integer(config, "candidateCount", CONFIG),
        logprobs=fields.optional_bool(config, "responseLogprobs", CONFIG),
        top_logprobs=integer(config, "logprobs", CONFIG),
    )


def _read_thinking(config: JsonObject) -> Thinking:
    thinking = fields.optional_mapping(config, "thinkingConfig", CONFIG)
    if thinking is None:
        return NO_THINKING
    shown = fields.optional_bool(thinking, "includeThoughts", _THINKING)
    level = word(thinking, "thinkingLevel", _LEVELS, _THINKING)
    budget = integer(thinking, "thinkingBudget", _THINKING)
    if level in (None, "THINKING_LEVEL_UNSPECIFIED"):
        return _budgeted(budget, shown)
    if budget is not None:
        raise BadRequest(
            f"{_THINKING}: only one of thinkingLevel and thinkingBudget can be set", path=_THINKING
        )
    effort = parse_effort(str(level).lower())
    if effort is None:
        raise fields.wrong(f"{_THINKING}.thinkingLevel", "one of MINIMAL, LOW, MEDIUM, HIGH")
    return Thinking("effort", effort=effort, shown=shown)


def _budgeted(budget: int | None, shown: bool | None) -> Thinking:
    match budget:
        case None:
            return Thinking(shown=shown)
        case -1:
            return Thinking("auto", shown=shown)
        case 0:
            return Thinking("off", shown=shown)
        case _ if budget > 0:
            return Thinking("budget", budget, shown=shown)
        case _:
            raise fields.wrong(f"{_THINKING}.thinkingBudget", "-1, 0 or a number of tokens")


def _read_output(config: JsonObject) -> tuple[OutputFormat, frozenset[str]]:
    """Return the shape of the answer and the fields that said it."""
    if _SHAPE.isdisjoint(config):
        return TEXT_OUTPUT, frozenset()
    mime = fields.optional_text(config, "responseMimeType", CONFIG)
    if mime == "text/plain":
        return TEXT_OUTPUT, _SHAPE
    schemas = [fields.optional_mapping(config, key, CONFIG) for key in _SCHEMAS]
    schema = next((schema for schema in schemas if schema is not None), None)
    if mime not in (None, "", "application/json") or (mime is None and schema is None):
        return TEXT_OUTPUT, frozenset()
    if schema is None:
        return OutputFormat("json_object" if mime else "text"), _SHAPE
    return OutputFormat("json_schema", schema=read_schema(schema)), _SHAPE
