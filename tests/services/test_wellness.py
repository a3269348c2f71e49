"""When an account serves so badly that its cache is not worth it."""

import pytest

from services import wellness
from services.wellness import Wellness

NOW = 1_800_000_000.0


def test_who_was_never_seen_is_well() -> None:
    assert not Wellness().is_degraded("one", "opus", NOW)


def test_four_failures_in_a_row_are_too_many_and_count_for_one_family() -> None:
    well = Wellness()
    seen = []
    for _ in range(4):
        well.failed("one", "opus", NOW)
        seen.append(well.is_degraded("one", "opus", NOW))
    assert seen == [False, False, False, True]
    assert not well.is_degraded("one", "haiku", NOW)
    assert not well.is_degraded("two", "opus", NOW)


def test_successes_in_between_make_up_for_failures() -> None:
    well = Wellness()
    for _ in range(50):
        well.failed("one", "opus", NOW)
        well.served("one", "opus", None, NOW)
        assert not well.is_degraded("one", "opus", NOW)


def test_what_was_is_forgotten_in_time() -> None:
    well = Wellness()
    for _ in range(20):
        well.failed("one", "opus", NOW)
    assert well.is_degraded("one", "opus", NOW + 50)
    assert not well.is_degraded("one", "opus", NOW + 70)


@pytest.mark.parametrize(
    ("one", "others", "is_degraded"),
    [
        pytest.param(14.0, 1.0, False, id="late, but soon enough"),
        pytest.param(16.0, 1.0, True, id="late"),
        pytest.param(60.0, 50.0, False, id="so are all"),
        pytest.param(90.0, 20.0, True, id="later than all"),
    ],
)
def test_a_late_begin_is_compared_with_the_others(
    one: float, others: float, is_degraded: bool
) -> None:
    well = Wellness()
    for _ in range(30):
        well.served("one", "opus", one, NOW)
        for other in ("two", "three", "four"):
            well.served(other, "opus", others, NOW)
    assert well.is_degraded("one", "opus", NOW) is is_degraded


def test_one_long_question_says_nothing() -> None:
    well = Wellness()
    well.served("two", "opus", 1.0, NOW)
    for _ in range(4):
        well.served("one", "opus", 100.0, NOW)
    assert not well.is_degraded("one", "opus", NOW)


def test_what_is_kept_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wellness, "_MAX_ENTRIES", 3)
    well = Wellness()
    for number in range(10):
        for _ in range(4):
            well.failed(f"account {number}", "opus", NOW)
    assert sum(well.is_degraded(f"account {number}", "opus", NOW) for number in range(10)) <= 3
