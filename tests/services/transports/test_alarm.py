"""A limit in time that is put off."""

from collections.abc import Callable

from services.wire.alarm import NEVER, Alarm


class Loop:
    """Time that moves on demand, and timers."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[Timer] = []
        self.set = 0

    def time(self) -> float:
        return self.now

    def call_at(self, due: float, callback: Callable[[], None]) -> "Timer":
        self.set += 1
        timer = Timer(due, callback)
        self.timers.append(timer)
        return timer

    def move_to(self, moment: float) -> None:
        while due := [one for one in self.timers if one.due <= moment and not one.is_cancelled]:
            first = min(due, key=lambda one: one.due)
            self.timers.remove(first)
            self.now = first.due
            first.callback()
        self.now = moment

    @property
    def live(self) -> int:
        return sum(not one.is_cancelled for one in self.timers)


class Timer:
    """One that was set."""

    def __init__(self, due: float, callback: Callable[[], None]) -> None:
        self.due = due
        self.callback = callback
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


def made() -> tuple[Alarm, Loop, list[float]]:
    loop = Loop()
    rung: list[float] = []
    alarm = Alarm(loop, lambda: rung.append(loop.now))  # type: ignore[arg-type] # what it needs
    return alarm, loop, rung


def test_it_rings_once_when_the_moment_has_come() -> None:
    alarm, loop, rung = made()
    alarm.set(5.0)
    loop.move_to(4.9)
    assert rung == []
    loop.move_to(100.0)
    assert (rung, loop.live) == ([5.0], 0)


def test_putting_it_off_with_each_byte_sets_a_timer_only_now_and_then() -> None:
    alarm, loop, rung = made()
    alarm.set(15.0)
    for moment in range(1000):
        loop.move_to(moment / 10)
        alarm.due = loop.now + 15.0
    assert (rung, loop.set) == ([], 7)
    loop.move_to(1000.0)
    assert rung == [99.9 + 15.0]


def test_a_nearer_moment_rings_in_its_time() -> None:
    alarm, loop, rung = made()
    alarm.set(600.0)
    alarm.set(5.0)
    assert loop.live == 1
    loop.move_to(1000.0)
    assert rung == [5.0]


def test_what_needs_no_limit_any_more_does_not_ring() -> None:
    alarm, loop, rung = made()
    alarm.set(5.0)
    alarm.due = NEVER
    loop.move_to(10.0)
    assert (rung, loop.live) == ([], 0)
    alarm.set(20.0)
    loop.move_to(30.0)
    assert rung == [20.0]
    alarm.set(40.0)
    alarm.drop()
    loop.move_to(50.0)
    assert (rung, loop.live) == ([20.0], 0)
    alarm.set(NEVER)
    assert loop.live == 0
