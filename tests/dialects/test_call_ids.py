"""Ids of calls in a history: each occurs once, each result finds its call."""

from dialects.call_ids import CallIds


def test_an_id_used_once_stays() -> None:
    ids = CallIds()
    ids.begin_turn()
    assert ids.call("a") == "a"
    assert ids.result("a") == ids.result("a") == "a"
    assert ids.result("b") is None


def test_results_belong_to_the_latest_turn() -> None:
    ids = CallIds()
    ids.begin_turn()
    first = ids.call("call_0")
    assert ids.result("call_0") == first
    ids.begin_turn()
    second = ids.call("call_0")
    assert second != first
    assert ids.result("call_0") == second


def test_results_of_one_turn_are_told_apart_by_their_order() -> None:
    ids = CallIds()
    ids.begin_turn()
    calls = [ids.call("x"), ids.call("x")]
    assert [ids.result("x"), ids.result("x"), ids.result("x")] == [*calls, calls[1]]


def test_made_up_ids_never_collide_with_given_ones() -> None:
    ids = CallIds()
    ids.begin_turn()
    made = [ids.call(given) for given in ("call_1", "", "", "call_0", "call_1", "x_2_2", "x", "x")]
    assert len(set(made)) == len(made)


def test_the_same_history_gets_the_same_ids() -> None:
    def told() -> list[str]:
        ids = CallIds()
        found = []
        for turn in (["a", ""], ["a", "a"], [""]):
            ids.begin_turn()
            found += [ids.call(given) for given in turn]
        return found

    assert told() == told()
