"""Which account a turn of a conversation goes to."""

from dataclasses import replace
from math import inf

import pytest

from models.errors import Blame, ErrorKind, UpstreamError
from models.exchange import ProxyRequest
from models.json_types import Json, JsonObject
from models.usage import Usage
from providers.base import Route
from repositories.base import SharedState
from tests.builders import make_provider
from tests.services.affinity_rig import TTL_S, Stage, make_request, open_stage
from tests.waiting import until as holds

FIRST: JsonObject = {"role": "user", "content": "Why is the sky blue?"}
ANSWER: JsonObject = {"role": "assistant", "content": "Because."}
MORE: JsonObject = {"role": "user", "content": "And the sea?"}


def first(opening: str = "Why is the sky blue?") -> ProxyRequest:
    return make_request(messages=[{"role": "user", "content": opening}])


def later(opening: str = "Why is the sky blue?", turns: int = 1) -> ProxyRequest:
    asked: JsonObject = {"role": "user", "content": opening}
    return make_request(messages=[asked, *([ANSWER, MORE] * turns)])


def named(request: ProxyRequest, name: str) -> ProxyRequest:
    return replace(request, session=name)


async def test_a_later_turn_goes_to_the_account_of_the_first() -> None:
    async with open_stage() as stage:
        assert await stage.turn(first(), "one") == ("one", "new", None)
        assert await stage.turn(later(), "two") == ("one", "kept", None)
        assert await stage.turn(later(turns=2), "three") == ("one", "kept", None)


async def test_pain_22_round_robin_distributes_conversations_not_turns() -> None:
    async with open_stage() as stage:
        for number in range(30):
            account = f"account {number % 3}"
            assert (await stage.turn(first(f"Question {number}"), account))[0] == account
        for turns in (1, 2, 3):
            for number in range(30):
                served = await stage.turn(later(f"Question {number}", turns), "anybody")
                assert served == (f"account {number % 3}", "kept", None)


async def test_pain_23_a_moving_cache_marker_does_not_move_the_conversation() -> None:
    marked: JsonObject = {"type": "text", "text": "Why is the sky blue?"}
    moving: JsonObject = {**marked, "cache_control": {"type": "ephemeral"}}
    begin = make_request("messages", messages=[{"role": "user", "content": [moving]}])
    goes_on = make_request(
        "messages",
        messages=[
            {"role": "user", "content": [marked]},
            ANSWER,
            {"role": "user", "content": [{**moving, "text": "And the sea?"}]},
        ],
    )
    async with open_stage() as stage:
        await stage.turn(begin, "one")
        assert (await stage.turn(goes_on, "two"))[:2] == ("one", "kept")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("hi", id="a word"),
        pytest.param("  Hello  ", id="another"),
        pytest.param("", id="nothing"),
        pytest.param([{"type": "image_url", "image_url": {"url": "data:,x"}}], id="no text"),
    ],
)
async def test_pain_24_what_many_conversations_begin_with_binds_none(content: Json) -> None:
    asked: JsonObject = {"role": "user", "content": content}
    system: JsonObject = {"role": "system", "content": "A long system text. " * 40}
    async with open_stage() as stage:
        begin = make_request(messages=[system, asked])
        goes_on = make_request(messages=[system, asked, ANSWER, MORE])
        assert await stage.turn(begin, "one") == ("one", None, None)
        assert await stage.turn(goes_on, "two") == ("two", None, None)
        # With a name it is one conversation, however it begins.
        await stage.turn(named(begin, "s1"), "one")
        assert (await stage.turn(named(goes_on, "s1"), "two"))[:2] == ("one", "kept")


async def test_pain_24_one_tenant_never_meets_anothers_conversation() -> None:
    async with open_stage() as stage:
        for request in (first(), named(first(), "s1")):
            await stage.turn(request, "one")
        for request in (later(), named(later(), "s1")):
            mine, theirs = request, replace(request, key_id="another key")
            assert (await stage.turn(mine, "two"))[0] == "one"
            assert (await stage.turn(theirs, "two"))[:2] == ("two", "new")


async def test_conversations_of_the_same_opening_and_another_system_text_are_two() -> None:
    async with open_stage() as stage:
        system: JsonObject = {"role": "system", "content": "Be brief."}
        await stage.turn(make_request(messages=[system, FIRST]), "one")
        other = make_request(messages=[{**system, "content": "Be long."}, FIRST, ANSWER, MORE])
        assert (await stage.turn(other, "two"))[:2] == ("two", "new")


async def test_each_provider_and_model_family_has_an_account_of_its_own() -> None:
    provider = replace(make_provider(), family_of=lambda model: model.partition("-")[0])
    opus, opus_again, haiku = (Route(provider, name) for name in ("opus-4", "opus-5", "haiku-4"))
    elsewhere = Route(replace(make_provider("other"), family_of=provider.family_of), "opus-4")
    async with open_stage() as stage:
        await stage.turn(first(), "one", route=opus)
        assert (await stage.turn(later(), "two", route=opus_again))[:2] == ("one", "kept")
        assert (await stage.turn(later(), "two", route=haiku))[:2] == ("two", "new")
        assert (await stage.turn(later(), "three", route=elsewhere))[:2] == ("three", "new")


async def test_a_header_counts_more_than_the_body_and_that_more_than_the_opening() -> None:
    claude: JsonObject = {"user_id": "user_x_account__session_12345678"}
    for dialect, in_body in (
        ("chat", make_request("chat", messages=[FIRST], prompt_cache_key="cache")),
        ("messages", make_request("messages", messages=[FIRST], metadata=claude)),
    ):
        plain = make_request(dialect, messages=[FIRST])
        in_header = named(in_body, "header")
        async with open_stage() as stage:
            for request, account in ((plain, "one"), (in_body, "two"), (in_header, "three")):
                assert (await stage.turn(request, account))[:2] == (account, "new")
            for request, account in ((in_body, "two"), (in_header, "three")):
                assert (await stage.turn(request, "four"))[:2] == (account, "kept")
            goes_on = make_request(dialect, messages=[FIRST, ANSWER, MORE])
            assert (await stage.turn(goes_on, "four"))[0] == "one"


async def test_a_session_may_be_named_in_header_or_body() -> None:
    """Programs send the same name in both, and not always in both."""
    async with open_stage() as stage:
        await stage.turn(make_request(messages=[FIRST], prompt_cache_key="session-1"), "one")
        assert (await stage.turn(named(first("Other words"), "session-1"), "two"))[0] == "one"


async def test_a_first_turn_never_looks_anything_up(redis_url: str) -> None:
    async with open_stage(redis_url) as stage:
        asked = _count_gets(stage)
        visit = await stage.replicas[0].visit(first())
        assert visit is not None
        assert (visit.home, visit.has_asked, asked) == (None, False, [])
        await stage.turn(first(), "one")
        # Nor does one that is repeated: it takes its turn like any other.
        assert (await stage.turn(first(), "two"))[:2] == ("two", "new")
        assert asked == []
        assert (await stage.turn(later(), "three"))[0] == "one"


async def test_a_turn_known_here_asks_nobody(redis_url: str) -> None:
    async with open_stage(redis_url) as stage:
        await stage.turn(first(), "one")
        asked = _count_gets(stage)
        visit = await stage.replicas[0].visit(later())
        assert visit is not None
        assert (visit.home, visit.has_asked, asked) == ("one", False, [])


@pytest.mark.parametrize("request_", [later(), named(first(), "s")], ids=["history", "name"])
async def test_what_is_not_known_here_is_asked_once(redis_url: str, request_: ProxyRequest) -> None:
    async with open_stage(redis_url) as stage:
        asked = _count_gets(stage)
        visit = await stage.replicas[0].visit(request_)
        assert visit is not None
        assert (visit.home, visit.has_asked, len(asked)) == (None, True, 1)


async def test_conversations_with_names_are_shared_out_by_the_common_counter(
    redis_url: str,
) -> None:
    """Their first turn looks for a home and takes a number by the same round trip."""
    async with open_stage(redis_url, replicas=2) as stage:
        numbers = []
        for number in range(6):
            visit = await stage.replicas[number % 2].visit(named(first(), f"session {number}"))
            assert visit is not None
            numbers.append(visit.counter)
            visit.served("one")
        assert numbers == [0, 1, 2, 3, 4, 5]
        # Who has a history is sure to have lived somewhere: its number would be wasted.
        visit = await stage.replicas[0].visit(named(later(), "session 7"))
        assert visit is not None
        assert (visit.has_asked, visit.counter) == (True, None)


async def test_a_conversation_stays_with_its_account_over_all_replicas(redis_url: str) -> None:
    async with open_stage(redis_url, replicas=3) as stage:
        await stage.turn(first(), "one", replica=0)
        for replica in (1, 2, 0, 1):
            assert (await stage.turn(later(), "two", replica=replica))[:2] == ("one", "kept")


async def test_first_turns_at_the_same_time_agree(redis_url: str) -> None:
    async with open_stage(redis_url, replicas=3) as stage:
        visits = [await replica.visit(named(first(), "s")) for replica in stage.replicas]
        for visit, account in zip(visits, ("one", "two", "three"), strict=True):
            assert visit is not None
            visit.served(account)
        await stage.settle()
        homes = {
            (await stage.turn(named(later(), "s"), "four", replica=replica))[0]
            for replica in range(3)
        }
        assert len(homes) == 1
        assert homes < {"one", "two", "three"}


async def test_pain_25_an_account_that_cannot_serve_is_not_its_home_now() -> None:
    async with open_stage() as stage:
        await stage.turn(first(), "one")
        stage.away["one"] = stage.clock.now() + 60
        visit = await stage.replicas[0].visit(later())
        assert visit is not None
        assert visit.home is None


async def test_pain_26_another_account_serves_for_a_while_and_the_home_stays() -> None:
    async with open_stage() as stage:
        await stage.turn(first(), "one")
        stage.away["one"] = stage.clock.now() + 60
        assert (await stage.turn(later(), "two"))[:2] == ("two", "borrowed")
        stage.clock.advance(60)
        assert (await stage.turn(later(), "three"))[:2] == ("one", "kept")


async def test_who_lends_itself_goes_on_as_long_as_the_home_is_away(redis_url: str) -> None:
    """Each other account would have to read the whole conversation anew."""
    async with open_stage(redis_url, replicas=2) as stage:
        await stage.turn(first(), "one")
        assert (await stage.turn(later(), "none", replica=1))[0] == "one"
        stage.away["one"] = stage.clock.now() + 300
        assert (await stage.turn(later(), "two"))[:2] == ("two", "borrowed")
        for replica in (0, 1, 1, 0):
            served = await stage.turn(later(), "three", replica=replica)
            assert served[:2] == ("two", "borrowed")
        stage.away["two"] = stage.clock.now() + 300
        assert (await stage.turn(later(), "three"))[:2] == ("three", "borrowed")
        stage.clock.advance(300)
        for replica in (0, 1):
            assert (await stage.turn(later(), "four", replica=replica))[0] == "one"


async def test_a_turn_is_lent_while_its_home_comes_back_and_not_when_it_moves() -> None:
    async with open_stage() as stage:
        await stage.turn(first(), "one")
        replica = stage.replicas[0]

        async def seen() -> tuple[str | None, bool]:
            visit = await replica.visit(later())
            assert visit is not None
            return visit.home, visit.is_lent

        assert await seen() == ("one", False)
        stage.away["one"] = stage.clock.now() + 300
        assert await seen() == (None, True)
        await stage.turn(later(), "two")
        assert await seen() == ("two", True)
        stage.away["one"] = inf
        assert await seen() == ("two", False)


async def test_a_detour_does_not_change_who_lends_itself() -> None:
    async with open_stage() as stage:
        await stage.turn(first(), "one")
        stage.away["one"] = stage.clock.now() + 300
        await stage.turn(later(), "two")
        visit = await stage.replicas[0].visit(later())
        assert visit is not None
        visit.served("three")
        assert visit.outcome == "borrowed"
        assert (await stage.turn(later(), "four"))[0] == "two"


@pytest.mark.parametrize(
    "until", [pytest.param(inf, id="gone"), pytest.param(TTL_S + 1, id="for longer than a cache")]
)
async def test_a_conversation_moves_when_its_home_does_not_come_back(
    redis_url: str, until: float
) -> None:
    async with open_stage(redis_url, replicas=2) as stage:
        for replica in (0, 1):
            await stage.turn(named(first(), "s"), "one", replica=replica)
        stage.away["one"] = stage.clock.now() + until
        assert (await stage.turn(named(later(), "s"), "two"))[:2] == ("two", "moved")
        assert (await stage.turn(named(later(), "s"), "three"))[:2] == ("two", "kept")
        await _heard(stage, replica=1)
        stage.away.clear()
        for replica in (0, 1):
            served = await stage.turn(named(later(), "s"), "four", replica=replica)
            assert served[:2] == ("two", "kept")


async def test_pain_27_what_is_bound_to_is_the_account() -> None:
    """A provider's address or its proxy may change; whoever's cache it is does not."""
    async with open_stage() as stage:
        await stage.turn(first(), "one")
        moved = Route(make_provider(base_url="http://127.0.0.1:2"), "gpt-x")
        assert (await stage.turn(later(), "two", route=moved))[:2] == ("one", "kept")


async def test_a_conversation_is_remembered_for_so_long_after_its_last_turn(
    redis_url: str,
) -> None:
    async with open_stage(redis_url) as stage:
        await stage.turn(first(), "one")
        for _ in range(3):
            stage.clock.advance(TTL_S - 1)
            assert (await stage.turn(later(), "two"))[:2] == ("one", "kept")


async def test_after_that_it_begins_anew() -> None:
    async with open_stage() as stage:
        await stage.turn(first(), "one")
        stage.clock.advance(TTL_S)
        assert (await stage.turn(later(), "two"))[:2] == ("two", "new")
        assert (await stage.turn(later(), "three"))[:2] == ("two", "kept")


async def test_it_can_be_switched_off() -> None:
    async with open_stage(enabled=False) as stage:
        await stage.turn(first(), "one")
        assert await stage.turn(later(), "two") == ("two", None, None)


@pytest.mark.parametrize(
    "dialect", ["messages.count", "responses.count", "gemini.count", "embeddings"]
)
async def test_what_is_no_conversation_takes_no_part(dialect: str) -> None:
    async with open_stage() as stage:
        request = named(replace(later(), dialect=dialect), "s")
        assert await stage.replicas[0].visit(request) is None


async def test_without_redis_each_replica_goes_by_what_it_saw(redis_url: str) -> None:
    async with open_stage(redis_url, replicas=2) as stage:
        await stage.turn(first(), "one")
        for replica in stage.replicas:
            await replica.shared.aclose()
        assert (await stage.turn(later(), "two"))[:2] == ("one", "kept")
        assert (await stage.turn(later(), "two", replica=1))[:2] == ("two", "new")
        assert (await stage.turn(later(), "three", replica=1))[:2] == ("two", "kept")
        visit = await stage.replicas[1].visit(later("Another question"))
        assert visit is not None
        assert not visit.has_asked


# --- what staying is worth -----------------------------------------------------------------------


LIMITED = UpstreamError("slow down", kind=ErrorKind.RATE_LIMIT)
OUTAGE = UpstreamError("down", kind=ErrorKind.OVERLOADED, blame=Blame.PROVIDER)


async def _served_in_turn(stage: Stage, **first_byte_s: float) -> None:
    """Let accounts serve a dozen streams each, which begin so late."""
    for number in range(12):
        for account, late_s in first_byte_s.items():
            visit = await stage.replicas[0].visit(first(f"Question {account} {number}"))
            assert visit is not None
            visit.served(account, late_s)


async def _failed(stage: Stage, account: str, error: UpstreamError, times: int = 4) -> None:
    visit = await stage.replicas[0].visit(later())
    assert visit is not None
    for _ in range(times):
        visit.failed(account, error)


async def test_a_home_that_fails_more_often_than_not_is_borrowed_from() -> None:
    async with open_stage() as stage:
        await stage.turn(first(), "one")
        await _failed(stage, "one", LIMITED)
        assert (await stage.turn(later(), "two"))[:2] == ("two", "borrowed")
        stage.clock.advance(120)
        assert (await stage.turn(later(), "three"))[:2] == ("one", "kept")


async def test_whole_answers_bring_a_conversation_back_to_a_home_that_failed() -> None:
    async with open_stage() as stage:
        await stage.turn(first(), "one")
        await _failed(stage, "one", LIMITED)
        for number in range(3):
            await stage.turn(first(f"Question {number}"), "one")
        assert (await stage.turn(later(), "two"))[:2] == ("one", "kept")


async def test_a_provider_that_is_down_is_no_reason_to_leave_home() -> None:
    async with open_stage() as stage:
        await stage.turn(first(), "one")
        await _failed(stage, "one", OUTAGE, times=50)
        assert (await stage.turn(later(), "two"))[:2] == ("one", "kept")


async def test_a_home_that_begins_late_is_borrowed_from() -> None:
    async with open_stage() as stage:
        await stage.turn(first(), "one")
        await _served_in_turn(stage, one=40.0, two=1.0)
        assert (await stage.turn(later(), "two"))[:2] == ("two", "borrowed")


async def test_a_model_that_thinks_long_is_no_reason_to_leave_home() -> None:
    async with open_stage() as stage:
        await stage.turn(first(), "one")
        await _served_in_turn(stage, one=60.0, two=50.0, three=60.0)
        assert (await stage.turn(later(), "two"))[:2] == ("one", "kept")


# --- the report ----------------------------------------------------------------------------------


def used(read: int, written: int = 0) -> Usage:
    return Usage(10, 5, cache_read_tokens=read, cache_write_tokens=written)


async def test_cached_tokens_that_stay_behind_are_counted() -> None:
    async with open_stage() as stage:
        assert (await stage.turn(first(), "one", usage=used(0, 900)))[2] is None
        assert (await stage.turn(later(), "x", usage=used(900, 100)))[2] is None
        stage.away["one"] = stage.clock.now() + 60
        assert await stage.turn(later(), "two", usage=used(0, 1200)) == ("two", "borrowed", 1000)
        # The second turn over there finds all of the first.
        assert await stage.turn(later(), "x", usage=used(1200, 50)) == ("two", "borrowed", 0)
        stage.away["one"] = inf
        stage.away["two"] = inf
        assert await stage.turn(later(), "three", usage=used(50, 99)) == ("three", "moved", 1200)


async def test_what_this_process_did_not_see_is_not_guessed(redis_url: str) -> None:
    async with open_stage(redis_url, replicas=2) as stage:
        await stage.turn(first(), "one", usage=used(0, 900))
        stage.away["one"] = stage.clock.now() + 60
        served = await stage.turn(later(), "two", replica=1, usage=used(0, 900))
        assert served == ("two", "borrowed", None)


async def test_an_end_before_anybody_served_says_nothing() -> None:
    async with open_stage() as stage:
        await stage.turn(first(), "one", usage=used(0, 900))
        stage.away["one"] = stage.clock.now() + 60
        visit = await stage.replicas[0].visit(later())
        assert visit is not None
        assert visit.ended(used(0)) is None
        visit.served("two")
        assert visit.ended(Usage()) is None
        assert [visit.ended(used(300)) for _ in range(2)] == [600, 600]


def _count_gets(stage: Stage) -> list[str]:
    asked: list[str] = []
    for replica in stage.replicas:
        shared = replica.shared

        async def get(key: str, shared: SharedState = shared) -> bytes | None:
            asked.append(key)
            return await type(shared).get(shared, key)

        shared.get = get  # type: ignore[method-assign] # looks on
    return asked


async def _heard(stage: Stage, *, replica: int) -> None:
    """Wait until a replica has heard that a conversation moved."""
    await holds(lambda: not list(stage.replicas[replica].bindings))
