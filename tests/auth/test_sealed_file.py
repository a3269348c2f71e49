"""A file of secrets opens with its passphrase, whole or not at all."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth.sealed_file import seal, unseal
from models.errors import BadRequest
from models.sealed_file import SealedFile

PASSPHRASE = "correct horse battery"
CHEAP = 2**4
SEALED = seal(b"secret words", PASSPHRASE, n=CHEAP)


def test_what_was_sealed_opens_with_its_passphrase() -> None:
    assert unseal(SEALED, PASSPHRASE) == b"secret words"


def test_the_default_cost_is_what_guides_ask_for() -> None:
    sealed = seal(b"", PASSPHRASE)
    assert (sealed.n, sealed.r, sealed.p) == (131_072, 8, 1)
    assert unseal(sealed, PASSPHRASE) == b""


def test_two_files_of_the_same_content_have_nothing_in_common() -> None:
    other = seal(b"secret words", PASSPHRASE, n=CHEAP)
    assert other.salt != SEALED.salt
    assert other.nonce != SEALED.nonce
    assert other.ciphertext != SEALED.ciphertext


def flipped(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(replace(SEALED, ciphertext=flipped(SEALED.ciphertext)), id="content"),
        pytest.param(replace(SEALED, ciphertext=SEALED.ciphertext[:-1]), id="cut"),
        pytest.param(replace(SEALED, ciphertext=b""), id="empty"),
        pytest.param(replace(SEALED, nonce=flipped(SEALED.nonce)), id="nonce"),
        pytest.param(replace(SEALED, salt=flipped(SEALED.salt)), id="salt"),
        pytest.param(replace(SEALED, n=CHEAP * 2), id="n"),
        pytest.param(replace(SEALED, r=9), id="r"),
        pytest.param(replace(SEALED, p=2), id="p"),
    ],
)
def test_a_file_that_was_changed_does_not_open(changed: SealedFile) -> None:
    with pytest.raises(BadRequest, match="the passphrase is another one, or the file was changed"):
        unseal(changed, PASSPHRASE)


@given(st.text(min_size=1).filter(lambda text: text != PASSPHRASE))
def test_another_passphrase_does_not_open_it_and_is_not_repeated(passphrase: str) -> None:
    try:
        passphrase.encode()
    except UnicodeEncodeError:
        return  # JSON of ours holds no lone surrogates
    with pytest.raises(BadRequest) as refused:
        unseal(SEALED, passphrase)
    assert len(passphrase) < 12 or passphrase not in refused.value.message


@pytest.mark.parametrize(
    "costly",
    [
        pytest.param(replace(SEALED, n=2**30), id="more memory than there is"),
        pytest.param(replace(SEALED, n=2**17, r=64), id="more memory than ours"),
        pytest.param(replace(SEALED, n=2**18, r=8), id="twice the memory of ours"),
        pytest.param(replace(SEALED, n=2**17, r=8, p=2), id="twice the time of ours"),
        pytest.param(replace(SEALED, p=10**6), id="more time"),
        pytest.param(replace(SEALED, n=1000), id="no power of two"),
        pytest.param(replace(SEALED, n=1), id="one"),
        pytest.param(replace(SEALED, n=0), id="zero"),
        pytest.param(replace(SEALED, r=0), id="no blocks"),
        pytest.param(replace(SEALED, p=0), id="no lanes"),
        pytest.param(replace(SEALED, salt=b""), id="no salt"),
        pytest.param(replace(SEALED, nonce=b"1"), id="short nonce"),
    ],
)
def test_parameters_that_are_none_of_ours_are_refused_before_any_work(costly: SealedFile) -> None:
    with pytest.raises(BadRequest, match="its parameters are none that this gateway writes"):
        unseal(costly, PASSPHRASE)


def test_nothing_of_the_content_shows() -> None:
    assert "secret" not in repr(SEALED)
    assert b"secret" not in SEALED.ciphertext
