"""Calls of token endpoints and their like: one request, read whole, within one limit."""

import asyncio
from collections.abc import Mapping
from typing import Final, TypeAlias

from auth.token_failures import RefreshFailed
from models.egress import EgressProxy
from models.errors import Blame, UpstreamError
from models.exchange import UpstreamRequest
from models.ports import Transport
from services.hindrance import PROXY_FAILED

Answer: TypeAlias = tuple[int, Mapping[str, str], bytes]
"""Status, headers, body."""

_MAX_ANSWER_BYTES: Final = 1 << 20


async def answer_of(
    transport: Transport, request: UpstreamRequest, egress: EgressProxy | None, limit_s: float
) -> Answer:
    """Return the answer, whatever it says. Raises RefreshFailed when there is none."""
    try:
        async with asyncio.timeout(limit_s):
            response = await transport.send(request, egress, first_byte_timeout_s=limit_s)
            try:
                body = await response.read(_MAX_ANSWER_BYTES)
            finally:
                response.close()
    except TimeoutError:
        raise RefreshFailed("timeout", is_lost=True) from None
    except UpstreamError as error:
        if error.sent:
            raise RefreshFailed("no_answer", is_lost=True) from error
        is_proxy = error.blame is Blame.EGRESS
        raise RefreshFailed(PROXY_FAILED if is_proxy else "connect_failed") from error
    return response.status, response.headers, body
