import base64
import re

import pytest

from auth.login_state import hashed, is_ours, new_state

KEY = b"k" * 32


def test_a_state_holds_256_random_bits_and_fits_into_an_address() -> None:
    made = {new_state(KEY) for _ in range(100)}
    assert len({base64.urlsafe_b64decode(state)[:32] for state in made}) == 100
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{56}", state) for state in made)
    assert all(is_ours(state, KEY) for state in made)


@pytest.mark.parametrize("guess", ["", "x", "A" * 56, "é" * 56, "A" * 55 + "\n", "=" * 56])
def test_a_guess_is_told_from_a_state_without_looking_it_up(guess: str) -> None:
    assert not is_ours(guess, KEY)


def test_a_state_is_good_for_one_key_and_unchanged_only() -> None:
    state = new_state(KEY)
    assert not is_ours(state, b"o" * 32)
    for position in (0, 20, 50, 55):
        other = "A" if state[position] != "A" else "B"
        assert not is_ours(state[:position] + other + state[position + 1 :], KEY)


def test_what_is_stored_of_a_secret_leads_back_to_nothing() -> None:
    state = new_state(KEY)
    assert re.fullmatch(r"[0-9a-f]{64}", hashed(state, KEY))
    assert hashed(state, KEY) == hashed(state, KEY) != hashed(state, b"o" * 32)
    assert hashed("\ud800", KEY)  # whatever a cookie holds
