"""What holds for every request that a provider received, whichever program was the client."""

from tests.e2e.harness import Rig
from tests.fakes.provider import FakeProvider, Seen


def check_received(rig: Rig, provider: FakeProvider) -> None:
    """Assert that it came from us, was signed by the account, and told nothing of the client."""
    assert provider.seen
    for seen in provider.seen:
        assert seen.headers["user-agent"].startswith("aigateway/")
        assert seen.key == "key-0"
        assert rig.key not in str(seen.headers)
        assert rig.key.encode() not in seen.body


def with_result(provider: FakeProvider, result: str) -> Seen:
    """Return the first request that held a tool's result."""
    return next(seen for seen in provider.seen if result.encode() in seen.body)
