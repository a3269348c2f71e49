"""Token counts of one answer, disjoint where vendors nest them."""

from models.record import record


@record(frozen=True, slots=True)
class Usage:
    """Tokens of one answer. `None` means "not reported", which is not zero.

    `input_tokens` excludes cached and cache-writing tokens; `output_tokens` includes reasoning.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None

    def updated(self, later: "Usage") -> "Usage":
        """Fold a later report of the same answer in: counts are cumulative, so later wins."""
        if self is NO_USAGE or later is NO_USAGE or later is self:
            return later if self is NO_USAGE else self
        return Usage(
            self.input_tokens if later.input_tokens is None else later.input_tokens,
            self.output_tokens if later.output_tokens is None else later.output_tokens,
            self.cache_read_tokens if later.cache_read_tokens is None else later.cache_read_tokens,
            self.cache_write_tokens
            if later.cache_write_tokens is None
            else later.cache_write_tokens,
            self.reasoning_tokens if later.reasoning_tokens is None else later.reasoning_tokens,
        )

    @property
    def prompt_tokens(self) -> int:
        """All input tokens, cached or not."""
        return (
            (self.input_tokens or 0)
            + (self.cache_read_tokens or 0)
            + (self.cache_write_tokens or 0)
        )

    @property
    def is_reported(self) -> bool:
        return self.input_tokens is not None or self.output_tokens is not None


NO_USAGE = Usage()
