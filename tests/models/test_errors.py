"""An error that is kept keeps nothing of what it went through."""

import weakref

import pytest

from models.errors import GatewayError, let_go


class Held:
    """Something that a frame holds."""


def fail_over(held: Held) -> None:
    """Fail while another failure is dealt with, because of one that was never raised."""
    try:
        raise GatewayError("the first")
    except GatewayError:
        mine = held
        raise GatewayError("the second") from OSError(str(mine is held))


def test_an_error_lets_go_of_frames_its_own_and_of_all_that_led_to_it() -> None:
    held = Held()
    seen = weakref.ref(held)
    with pytest.raises(GatewayError) as caught:
        fail_over(held)
    kept = caught.value
    del caught, held
    assert seen() is not None
    let_go(kept)
    assert seen() is None
    assert (kept.message, str(kept.__cause__)) == ("the second", "True")


def test_errors_that_led_to_each_other_are_let_go_of_once() -> None:
    one, other = GatewayError("one"), GatewayError("other")
    one.__cause__, other.__cause__ = other, one
    let_go(one)
    assert one.__cause__ is other
