"""Sealed tokens come back as they were, and only where they were sealed for."""

from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth.vault import Vault
from models.account import Credentials, OAuthClient
from models.errors import GatewayError
from services.sealed import TokenRecord, open_record, seal_record

VAULT = Vault.of(bytes(range(32)))

# Sealed is JSON, which has no lone surrogates; the readers of answers and bodies refuse them.
texts = st.text(st.characters(exclude_categories=["Cs"]))
mappings = st.dictionaries(texts, texts)
clients = st.builds(
    OAuthClient,
    texts,
    texts,
    st.none() | texts,
    st.lists(texts).map(tuple),
    st.sampled_from(["form", "json"]),
    mappings,
)
credentials = st.builds(
    Credentials,
    texts,
    st.none() | texts,
    st.none() | st.floats(0, 1e12),
    st.none() | clients,
    mappings,
)


@given(credentials, st.integers(0, 2**31), st.sampled_from(["journal", "shared"]))
def test_what_is_sealed_comes_back(found: Credentials, version: int, place: str) -> None:
    record = TokenRecord("account1", version, found)
    assert open_record(VAULT, place, "account1", seal_record(VAULT, place, record)) == record


def test_mappings_that_are_no_dict_can_be_sealed() -> None:
    record = TokenRecord("a", 1, Credentials("x", facts=MappingProxyType({"k": "v"})))
    opened = open_record(VAULT, "journal", "a", seal_record(VAULT, "journal", record))
    assert opened.credentials.facts == {"k": "v"}


@pytest.mark.parametrize(("place", "account"), [("shared", "a"), ("journal", "b")])
def test_it_opens_in_its_own_place_only(place: str, account: str) -> None:
    sealed = seal_record(VAULT, "journal", TokenRecord("a", 1, Credentials("canary")))
    with pytest.raises(GatewayError) as caught:
        open_record(VAULT, place, account, sealed)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("plain", [b"", b"[]", b"{}", b'{"credentials":{"canary":1,"oauth":null}}'])
def test_what_another_release_sealed_is_a_clean_error(plain: bytes) -> None:
    sealed = VAULT.seal(plain, table="tokens", column="journal", row_id="a")
    with pytest.raises(GatewayError, match="cannot be read") as caught:
        open_record(VAULT, "journal", "a", sealed)
    assert "canary" not in str(caught.value)
