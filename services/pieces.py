"""A body that is read piece by piece, handed over as if it flowed."""

from collections.abc import Awaitable, Callable

from models.ports import Flow


async def flow_of_pieces(
    read_some: Callable[[float], Awaitable[bytes | None]],
    drop: Callable[[], None],
    take: Callable[[bytes], bool],
    wait_s: float,
) -> Flow:
    """Do what `UpstreamResponse.flow` does over its `read_some`; `drop` leaves the connection when
    `take` raises."""
    while data := await read_some(wait_s):
        try:
            wants_more = take(data)
        except BaseException:
            drop()
            raise
        if not wants_more:
            return Flow.STOPPED
    return Flow.SILENT if data is None else Flow.ENDED
