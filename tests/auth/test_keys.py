import hmac
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth.keys import hash_key, hint, key_hasher, new_key, well_formed

PEPPER = b"p" * 32


def test_a_new_key_is_well_formed_and_like_no_other() -> None:
    keys = {new_key() for _ in range(500)}
    assert len(keys) == 500
    assert all(key.startswith("ak_") and len(key) == 41 and well_formed(key) for key in keys)


def test_random_part_uses_every_base62_digit() -> None:
    seen = set("".join(new_key()[3:35] for _ in range(300)))
    assert seen == set(string.digits + string.ascii_letters)


@given(position=st.integers(3, 40), other=st.sampled_from(string.digits + string.ascii_letters))
def test_one_mistyped_character_is_noticed(position: int, other: str) -> None:
    key = new_key()
    typo = key[:position] + other + key[position + 1 :]
    assert well_formed(typo) is (typo == key)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ak_",
        "sk-something-else-entirely-0000000000000000",
        "ak_" + "0" * 37,
        "ak_" + "0" * 39,
        "ak_" + "\uff10" * 38,
        "ak_" + "0" * 37 + "\n",
    ],
)
def test_other_text_is_not_a_key(text: str) -> None:
    assert not well_formed(text)


def test_a_key_has_one_hash_per_pepper() -> None:
    key = new_key()
    assert hash_key(key, PEPPER) == hash_key(key, PEPPER)
    assert hash_key(key, PEPPER) != hash_key(key, b"q" * 32)
    assert hash_key(key, PEPPER) != hash_key(new_key(), PEPPER)
    assert len(hash_key(key, PEPPER)) == 32


@given(st.text(alphabet=st.characters()))
def test_any_header_text_can_be_hashed(text: str) -> None:
    assert len(hash_key(text, PEPPER)) == 32


def test_lone_surrogates_of_a_header_can_be_hashed() -> None:
    # aiohttp decodes header bytes that are no UTF-8 into these.
    assert len(hash_key("ak_\udcff", PEPPER)) == 32


def test_hint_is_the_last_four_characters() -> None:
    assert hint("ak_abcdefgh") == "efgh"


def test_a_hash_is_an_hmac_whose_pepper_was_taken_in_before() -> None:
    for pepper in (PEPPER, b"q" * 64, b"q" * 65, b""):
        hashed = key_hasher(pepper)
        for key in ("ak_one", "", "ключ", "ak_one"):
            expected = hmac.digest(pepper, key.encode(), "sha256")
            assert hashed(key) == hash_key(key, pepper) == expected
