"""What programs ask for, and what holds for every request that a provider received."""

from collections.abc import Mapping

from tests.e2e import harness
from tests.e2e.harness import Rig
from tests.fakes.provider import FakeProvider, Kind

MODELS: Mapping[Kind, str] = {
    kind: model.rpartition("/")[2] for kind, model in harness.MODELS.items()
}
"""A model of each kind of provider, without the provider's name before it."""


def check_received(rig: Rig, provider: FakeProvider, model: str) -> None:
    """Assert that it came from us, for the model, by the account, without the client's key."""
    assert provider.seen
    for seen in provider.seen:
        assert seen.model == model.rpartition("/")[2]
        assert seen.headers["user-agent"].startswith("aigateway/")
        assert seen.key == "key-0"
        assert rig.key not in str(seen.headers)
        assert rig.key.encode() not in seen.body
