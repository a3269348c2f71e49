"""Ways in which a provider breaks: what its clients are told, and who pays for it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from tests.fakes.faults import Behaviour
from tests.fault import upstream_faults as faults

ACCOUNTS: Final = 2
MODEL: Final = "claude-fake"


@dataclass(frozen=True)
class Told:
    """What the client gets when no account is better than the other."""

    status: int
    code: str
    """What happened, as the record of the request has it; empty when all went well."""
    kind: str = "api_error"
    """The `type` that a Messages client reads."""
    attempts: int = ACCOUNTS
    chat_status: int | None = None
    """Where a Chat client gets another one."""
    tokens: int | None = None
    """Output that the provider has counted, and that is paid for."""

    @property
    def is_whole(self) -> bool:
        return not self.code

    @property
    def begins(self) -> bool:
        """Whether an answer begins; what breaks it is told inside."""
        return self.status == 200


@dataclass(frozen=True)
class Price:
    """Who pays for it."""

    blame: str
    scope: str | None = MODEL
    """For what an account rests that is ill while another is well; None: it does not rest."""
    after: int = 1
    """How often it must have been ill."""
    counts: bool = False
    """Whether the provider's breaker counts it: then all may share it, and if all do nobody
    rests."""


@dataclass(frozen=True)
class Case:
    """A way to break, and what comes of it."""

    behaviour: Behaviour
    whole: Told
    price: Price | None = None
    """None: there is nothing to pay for."""
    stream: Told | None = None
    """What a stream gets, where it is something else."""
    chat_stream: Told | None = None
    """The same of one that is translated."""
    calls: int = 1
    """How often each account is called, but for the last."""
    retry_after_s: int | None = None
    is_heavy: bool = False
    """Keeps the processor, ours too, so busy that two at once would be late."""

    def told(self, dialect: str, *, stream: bool) -> Told:
        if not stream:
            return self.whole
        translated = self.chat_stream if dialect == "chat" else None
        return translated or self.stream or self.whole

    def paid(self, dialect: str, *, stream: bool) -> Price | None:
        return None if self.told(dialect, stream=stream).is_whole else self.price


CHANCE: Final = Price("account_model", after=2, counts=True)
NOBODY: Final = replace(CHANCE, blame="provider")
BUSY: Final = Price("account_model", counts=True)
LIMIT: Final = Price("account_model")
ACCOUNT: Final = Price("account", "*")
REQUEST: Final = Price("request", None)

FINE: Final = Told(200, "", attempts=1, tokens=7)
FAILED: Final = Told(502, "upstream_error")
CUT: Final = Told(502, "upstream_truncated")
CUT_INSIDE: Final = Told(200, "upstream_truncated", attempts=1, tokens=1)
LATE: Final = Told(504, "timeout", "timeout_error")
LATE_INSIDE: Final = Told(200, "timeout", attempts=1, tokens=1)
OVERLOADED: Final = Told(529, "overloaded", "overloaded_error", chat_status=503)
LIMITED: Final = Told(429, "rate_limit", "rate_limit_error")
WRONG: Final = Told(400, "invalid_request", "invalid_request_error", 1)

_DATE: Final = {
    "date": "Wed, 21 Oct 2026 07:28:00 GMT",
    "retry-after": "Wed, 21 Oct 2026 07:29:17 GMT",
}

CASES: Final[Mapping[str, Case]] = {
    # The connection: reset, silent, cut.
    "reset before the head": Case(faults.reset_before_head, FAILED, NOBODY, calls=2),
    "reset after the head": Case(faults.reset_after_head, CUT, CHANCE),
    "reset in the middle": Case(faults.reset_in_the_middle, CUT, CHANCE, CUT_INSIDE),
    "silent before the head": Case(faults.hang_before_head, LATE, CHANCE),
    "a head without end": Case(faults.head_without_end, LATE, CHANCE),
    "silent after the head": Case(
        faults.hang_after_head, LATE, CHANCE, replace(LATE_INSIDE, tokens=None)
    ),
    "silent in the middle": Case(faults.hang_in_the_middle, LATE, CHANCE, LATE_INSIDE),
    "byte by byte": Case(faults.drip, FINE, is_heavy=True),
    # HTTP: framing that lies.
    "chunks without an end": Case(faults.truncated_chunks, CUT, CHANCE, CUT_INSIDE),
    "bad chunk size": Case(faults.bad_chunk_size, FAILED, NOBODY),
    "content-length too long": Case(faults.length_too_long, CUT, CHANCE, CUT_INSIDE),
    "content-length too short": Case(faults.length_too_short, FAILED, NOBODY),
    "a header of 100 kB": Case(faults.huge_header, FAILED, NOBODY),
    "not HTTP": Case(faults.not_http, FAILED, NOBODY),
    "zip bomb": Case(faults.zip_bomb, CUT, CHANCE, replace(CUT_INSIDE, tokens=None), is_heavy=True),
    "broken zip": Case(faults.broken_zip, CUT, CHANCE),
    "a redirect": Case(faults.redirect, FAILED, CHANCE),
    "204": Case(faults.no_content, FAILED, CHANCE),
    # The body: not what it says.
    "an answer without its end": Case(faults.whole_without_its_end, FAILED, CHANCE, CUT_INSIDE),
    "a page": Case(faults.page, FAILED, CHANCE),
    "a page that says it is none": Case(faults.page_as_json, FAILED, CHANCE, CUT),
    "nothing": Case(faults.nothing, FAILED, CHANCE, CUT),
    "an error with 200": Case(faults.error_with_200, OVERLOADED, BUSY),
    "an error as the first event": Case(faults.error_event_first, OVERLOADED, BUSY),
    "a line of 1 MB": Case(faults.big_line(1 << 20), FINE),
    "letters in pieces": Case(faults.split_utf8, FINE),
    "bytes that are no UTF-8": Case(
        faults.invalid_utf8, FAILED, CHANCE, FINE, replace(CUT_INSIDE, tokens=1)
    ),
    # Somebody before the API.
    "a page with 403": Case(faults.page_with(403), FAILED, NOBODY),
    "a page with 429": Case(faults.page_with(429), FAILED, NOBODY),
    "a page with 502": Case(faults.page_with(502), FAILED, NOBODY),
    "a page with 520": Case(faults.page_with(520), FAILED, CHANCE),
    # The provider's own errors.
    "400": Case(faults.status(400), WRONG, REQUEST),
    "413": Case(faults.status(413), Told(413, "too_large", "request_too_large", 1), REQUEST),
    "422": Case(faults.status(422), replace(WRONG, status=422, kind="api_error"), REQUEST),
    "401": Case(faults.status(401), Told(502, "upstream_auth"), ACCOUNT),
    "402": Case(
        faults.status(402), Told(402, "billing", "billing_error", chat_status=429), ACCOUNT
    ),
    "403": Case(faults.status(403), Told(502, "permission"), LIMIT),
    "404": Case(faults.status(404), Told(404, "not_found", "not_found_error"), REQUEST),
    "429": Case(faults.status(429), LIMITED, LIMIT, retry_after_s=5),
    "429 with seconds": Case(
        faults.status(429, {"retry-after": "77"}), LIMITED, LIMIT, retry_after_s=77
    ),
    "429 with a date": Case(faults.status(429, _DATE), LIMITED, LIMIT, retry_after_s=77),
    "500": Case(faults.status(500), FAILED, CHANCE),
    "500 without an end": Case(faults.error_without_end, FAILED, CHANCE),
    "500 that is a zip bomb": Case(faults.error_bomb, FAILED, CHANCE, is_heavy=True),
    "502": Case(faults.status(502), FAILED, CHANCE),
    "503": Case(faults.status(503), OVERLOADED, BUSY),
    "504": Case(faults.status(504), LATE, CHANCE),
    "529": Case(faults.status(529), OVERLOADED, BUSY),
}
