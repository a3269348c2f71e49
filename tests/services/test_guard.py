"""Where the gateway may not be sent."""

import pytest

from models.errors import BadRequest
from services.guard import AddressGuard

WEB = frozenset({"http", "https"})
PRIVATE = [
    "127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254",
    "0.0.0.0",  # noqa: S104 - judged, not bound
    "100.64.0.1", "192.0.0.8", "198.18.0.1", "224.0.0.1", "240.0.0.1",
    "255.255.255.255", "168.63.129.16", "::1", "::", "fe80::1", "fc00::1", "fd12::1", "ff02::1",
    "fec0::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1",
    "64:ff9b:1::7f00:1", "2002:7f00:1::", "2001:0:7f00:1::", "5f00::1", "not an address", "",
]  # fmt: skip
SPELLINGS = [
    "http://2130706433/", "http://0x7f000001/", "http://0x7f.1/", "http://127.1/", "http://0/",
    "http://0177.0.0.1/", "http://017700000001/", "http://[::1]/", "http://[::ffff:7f00:1]/",
    "http://[64:ff9b::127.0.0.1]/", "http://localhost/", "http://LOCALHOST./", "http://db.internal/",
    "http://printer.local/", "http://router.lan/", "http://intranet/", "http://127.0.0.1:80/",
    "http://user:pw@127.0.0.1/", "http://１２７.0.0.1/", "http://127。0。0。1/",
    "ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "//example.com/", "x",
    "http:///path", "http://", "http://exa mple.com/", "http://example.com\r\n/", "http://a\\b/",
    "http://example.com:99999/", "http://[::1/", "http://example.com/#frag",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_private_and_reserved_addresses_are_refused(address: str) -> None:
    assert not AddressGuard().allows(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses_are_allowed(address: str) -> None:
    assert AddressGuard().allows(address)


def test_only_the_allowed_private_networks_are_opened() -> None:
    guard = AddressGuard(["10.1.0.0/16", "::1/128"])
    assert guard.allows("10.1.2.3")
    assert guard.allows("::ffff:10.1.2.3")
    assert guard.allows("::1")
    assert not guard.allows("10.2.0.1")
    assert not guard.allows("127.0.0.1")


@pytest.mark.parametrize("url", SPELLINGS)
async def test_every_spelling_of_a_forbidden_address_is_refused(url: str) -> None:
    with pytest.raises(BadRequest) as caught:
        await AddressGuard().check_url(url, schemes=WEB, path="base_url")
    assert caught.value.path == "base_url"


@pytest.mark.parametrize(
    "url", ["https://8.8.8.8/v1", "http://[2606:4700::1111]:8080", "https://never.invalid/v1"]
)
async def test_public_addresses_and_unknown_names_may_be_set(url: str) -> None:
    await AddressGuard().check_url(url, schemes=WEB)


async def test_an_allowed_network_may_be_set() -> None:
    guard = AddressGuard(["127.0.0.0/8"])
    await guard.check_url("http://127.0.0.1:9000", schemes=WEB)
    await guard.check_url("http://localhost:9000", schemes=WEB)
