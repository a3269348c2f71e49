"""Time that tests move by hand."""


class FakeClock:
    """Both clocks stand still until told otherwise."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.time = now

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    def advance(self, seconds: float) -> None:
        self.time += seconds

    async def pause(self, seconds: float) -> None:
        """Stands in for `asyncio.sleep` and takes no time."""
        self.time += seconds
