"""What a probe's target says is a stranger's word: only an address and two letters are kept."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.exit_facts import LIMIT_BYTES, NO_EXIT, ExitFacts, read_exit

ADDRESS = "203.0.113.7"


@pytest.mark.parametrize(
    ("body", "address", "country"),
    [
        pytest.param(b'{"ip":"203.0.113.7","country":"DE"}', ADDRESS, "DE", id="ipinfo"),
        pytest.param(b'{"origin":"203.0.113.7"}', ADDRESS, None, id="httpbin"),
        pytest.param(b'{"origin":"10.0.0.1, 203.0.113.7"}', ADDRESS, None, id="httpbin, forwarded"),
        pytest.param(
            b'{"query":"203.0.113.7","country":"Germany","countryCode":"DE"}',
            *(ADDRESS, "DE"),
            id="ip-api",
        ),
        pytest.param(b'{"address":"203.0.113.7","country_code":"de"}', ADDRESS, "DE", id="small"),
        pytest.param(b'{"ip":"2001:DB8:0::1"}', "2001:db8::1", None, id="ipv6, usual form"),
        pytest.param(b'{"ip":"203.0.113.7","loc":"52.5,13.4"}', ADDRESS, None, id="coordinates"),
        pytest.param(b"fl=1\nip=203.0.113.7\nloc=DE\ntls=1\n", ADDRESS, "DE", id="trace"),
        pytest.param(b"ip=203.0.113.7\r\nloc=DE\r\n", ADDRESS, "DE", id="trace, CRLF"),
        pytest.param(b"203.0.113.7\n", ADDRESS, None, id="bare"),
        pytest.param(b"", None, None, id="nothing"),
        pytest.param(b"<html>hello</html>", None, None, id="a page"),
        pytest.param(b'{"ip":"203.0.113.7; DROP TABLE"}', None, None, id="not an address"),
        pytest.param(
            b'{"ip":"<script>alert(1)</script>","country":"<b>"}', None, None, id="markup"
        ),
        pytest.param(b'{"ip":"fe80::1%eth0"}', None, None, id="with a zone"),
        pytest.param(b'{"ip":3405803783,"country":["DE"]}', None, None, id="other types"),
        pytest.param(b'{"ip":"","query":"203.0.113.7"}', ADDRESS, None, id="the next name"),
        pytest.param(b'{"ip":"203.0.113.7","country":"D\\u0045\\n"}', ADDRESS, None, id="newline"),
        pytest.param(b'{"ip":"\xff"}', None, None, id="not UTF-8"),
        pytest.param(b"[" * 10_000, None, None, id="deep"),
        pytest.param(b'["203.0.113.7"]', None, None, id="a list"),
        pytest.param(
            b'{"ip":"203.0.113.7","x":"' + b"x" * LIMIT_BYTES + b'"}', None, None, id="big"
        ),
    ],
)
def test_only_a_valid_address_and_two_letters_are_kept(
    body: bytes, address: str | None, country: str | None
) -> None:
    assert read_exit(body) == ExitFacts(address, country)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("ip"), inner),
)


@given(st.binary(max_size=300) | JSON.map(orjson.dumps))
def test_whatever_comes_nothing_else_is_kept(body: bytes) -> None:
    found = read_exit(body)
    assert found == NO_EXIT or len(found.address or "") <= 64
    assert found.country is None or (len(found.country) == 2 and found.country.isupper())
