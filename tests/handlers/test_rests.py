import pytest

from models.errors import ErrorKind
from models.rest import EVERY_MODEL, NEVER, Rest, origin
from tests.handlers.api import Api

RESTS = "/api/v1/rests"
ACCOUNT, OTHER, PROXY = "c" * 32, "d" * 32, "a" * 32


def begin(api: Api, subject: str, scope: str = EVERY_MODEL, **changes: object) -> None:
    now = api.clock.now()
    fields = {"until": now + 3_600, "reason": ErrorKind.QUOTA} | changes
    api.gateway.rests._cooldowns.begin(Rest(subject, scope, now, **fields))  # type: ignore[arg-type] # names are checked at run time


async def test_a_rest_is_shown_with_every_field(api: Api) -> None:
    begin(
        api,
        ACCOUNT,
        "family:opus",
        evidence="5h window rejected",
        strikes=2,
        trial_at=api.clock.now() + 900,
    )
    told = await api.get(RESTS)
    assert told.json == {
        "data": [
            {
                "subject": ACCOUNT,
                "kind": "account",
                "provider_id": "openai",
                "label": "ann",
                "scope": "family:opus",
                "state": "resting",
                "began_at": "2027-01-15T08:00:00Z",
                "opens_at": "2027-01-15T08:15:00Z",
                "until": "2027-01-15T09:00:00Z",
                "reason": "quota",
                "evidence": "5h window rejected",
                "strikes": 2,
            }
        ],
        "total": 1,
        "limit": 50,
        "offset": 0,
    }


async def test_states_and_kinds_are_told_apart(api: Api) -> None:
    now = api.clock.now()
    begin(api, ACCOUNT, until=NEVER, reason=ErrorKind.UPSTREAM_AUTH)
    begin(api, PROXY, reason=ErrorKind.EGRESS)
    begin(api, origin("glm", "https://example.com"), until=now + 2, reason=ErrorKind.OVERLOADED)
    api.clock.advance(5)
    told = await api.get(RESTS)
    assert [(rest["kind"], rest["state"], rest["until"] is None) for rest in told.data] == [
        ("proxy", "resting", False),
        ("account", "needs_operator", True),
        ("provider", "half_open", False),
    ]


@pytest.mark.parametrize(
    ("asked", "total", "shown"),
    [
        ("", 4, 4),
        (f"?subject={ACCOUNT}", 2, 2),
        ("?subject=nobody", 0, 0),
        ("?provider_id=openai", 2, 2),
        ("?provider_id=glm", 1, 1),
        ("?limit=1&offset=1", 4, 1),
    ],
)
async def test_rests_are_filtered_and_paged(api: Api, asked: str, total: int, shown: int) -> None:
    begin(api, ACCOUNT)
    begin(api, ACCOUNT, "m")
    begin(api, OTHER)
    begin(api, origin("glm", "https://example.com"))
    told = await api.get(RESTS + asked)
    assert (told.json["total"], len(told.data)) == (total, shown)


async def test_an_operator_ends_one_rest_or_all_of_somebody(api: Api) -> None:
    for scope in ("*", "m", "n"):
        begin(api, ACCOUNT, scope)
    begin(api, OTHER)
    assert (await api.call("DELETE", f"{RESTS}?subject={ACCOUNT}&scope=m")).status == 204
    assert [rest["scope"] for rest in (await api.get(RESTS)).data] == ["*", "n", "*"]
    assert (await api.call("DELETE", f"{RESTS}?subject={ACCOUNT}")).status == 204
    assert [rest["subject"] for rest in (await api.get(RESTS)).data] == [OTHER]
    again = await api.call("DELETE", f"{RESTS}?subject={ACCOUNT}")
    assert (again.status, again.error["code"]) == (404, "not_found")


async def test_whose_rest_ends_must_be_said(api: Api) -> None:
    told = await api.call("DELETE", RESTS)
    assert (told.status, told.fields) == (422, ["subject"])
