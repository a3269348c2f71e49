"""Lets aioresponses 0.7.9 answer under aiohttp 3.14.

Since 3.14 a `ClientResponse` must be given the writer its request was sent with, and reads
`output_size` from it. aioresponses does not know this and every mocked answer fails.
`tests/test_aioresponses_shim.py` says when this file may go.
"""

from functools import partial
from unittest.mock import Mock

from aiohttp import ClientResponse
from aioresponses import core


def install() -> None:
    """Make aioresponses build its answers with a stand-in for the request's writer."""
    vars(core)["ClientResponse"] = partial(ClientResponse, stream_writer=Mock(output_size=0))


def remove() -> None:
    """Put aioresponses back as it was installed."""
    vars(core)["ClientResponse"] = ClientResponse
