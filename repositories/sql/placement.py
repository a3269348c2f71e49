"""Fill-first: which account leaves through which proxy.

Proxies in order (priority descending, id ascending); the first with room takes the account, and
the place is kept until the proxy goes or an operator's change of the account ends it. What an
account without a place does depends on its policy:

- `required`: it waits and is refused to requests until it has a place.
- `auto`: it goes direct. Once it had a place it is bound: from then on it waits like `required`,
  and only a change to `direct` undoes that.
- `direct`: it never has a place.

An inactive account holds none. When a proxy is added or a place is freed, waiting accounts are
let in, oldest first, as many as fit; the room that then remains goes to `auto` accounts that go
direct so far, oldest first, which binds them.

Every function here runs in a transaction that began with `revisions.bump`: the lock on that row
makes placements of all processes follow one another, so they neither give a place twice nor
deadlock. The conditional UPDATE in `_enter` would keep capacities even without it.
"""

from collections.abc import Collection

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    and_,
    case,
    false,
    func,
    or_,
    select,
    true,
)
from sqlalchemy import update as update_

from models.account import EgressPolicy, EgressStatus
from repositories.base import Move
from repositories.sql.tables import accounts, proxy_pool

_HAS_ROOM = or_(proxy_pool.c.max_accounts == 0, proxy_pool.c.assigned < proxy_pool.c.max_accounts)


def place(connection: Connection, account_id: str, *, wished: str | None = None) -> None:
    """Bring one account to where its state demands: it keeps a place that still fits, gives up
    one that does not, and takes the first that is free, one at the wished proxy before others."""
    account = _account(connection, account_id)
    if _keeps_place(connection, account):
        return
    release(connection, account_id)
    if not account["is_active"] or account["egress_policy"] == EgressPolicy.DIRECT:
        return
    proxy_id = _Rooms(connection, first=wished).take(account["provider_id"])
    if proxy_id is not None:
        _enter(connection, account_id, proxy_id)


def release(connection: Connection, account_id: str) -> None:
    """Take the account's place away, if it has one, and say so in its status."""
    account = _account(connection, account_id)
    connection.execute(
        update_(accounts)
        .where(accounts.c.id == account_id)
        .values(
            proxy_id=None,
            egress_status=_status_without_place(account),
            egress_bound=account["egress_bound"]
            and account["egress_policy"] != EgressPolicy.DIRECT,
        )
    )
    if account["proxy_id"] is not None:
        _give_back(connection, account["proxy_id"])


def vacate(connection: Connection, proxy_id: str, *, keeping: str | None = None) -> None:
    """Send the proxy's accounts away, but for those of the provider `keeping`. They wait until
    `fill_waiting` finds them another place."""
    leaving = select(accounts.c.id).where(accounts.c.proxy_id == proxy_id)
    if keeping is not None:
        leaving = leaving.where(accounts.c.provider_id != keeping)
    for account_id in connection.execute(leaving.order_by(accounts.c.id)).scalars().all():
        release(connection, account_id)


def fill_waiting(connection: Connection) -> int:
    """Let in as many accounts as fit; return how many of them were waiting."""
    rooms = _Rooms(connection)
    waiting = 0
    for account in connection.execute(_candidates()).mappings() if rooms else ():
        proxy_id = rooms.take(account["provider_id"])
        if proxy_id is not None and _enter(connection, account["id"], proxy_id):
            waiting += account["egress_status"] == EgressStatus.WAITING
        if not rooms:
            break
    return waiting


def moves(connection: Connection, proxy_id: str, *, avoiding: Collection[str]) -> list[Move]:
    """Return where each account of a proxy would go, in id order: as ever the first that has room,
    but not to one that is to be avoided."""
    rooms = _Rooms(connection, without={proxy_id, *avoiding})
    held = select(accounts.c.id, accounts.c.provider_id).where(accounts.c.proxy_id == proxy_id)
    rows = connection.execute(held.order_by(accounts.c.id)).mappings()
    return [Move(row["id"], rooms.take(row["provider_id"])) for row in rows]


def rehome(connection: Connection, proxy_id: str, *, avoiding: Collection[str]) -> list[Move]:
    """Move the accounts of a proxy; return who went where. Nobody goes without a place: who finds
    none stays. The places that this frees are not given away, for the proxy may be dead."""
    done = []
    for move in moves(connection, proxy_id, avoiding=avoiding):
        moved = move.proxy_id is not None and _enter(connection, move.account_id, move.proxy_id)
        if moved:
            _give_back(connection, proxy_id)
        done.append(move if moved else Move(move.account_id, None))
    return done


def recount(connection: Connection) -> int:
    """Set every proxy's counter to the number of accounts that hold a place there; return how
    many were wrong."""
    held = (
        select(func.count())
        .select_from(accounts)
        .where(accounts.c.proxy_id == proxy_pool.c.id)
        .scalar_subquery()
    )
    found = (
        connection.execute(
            select(proxy_pool.c.id, proxy_pool.c.assigned, held.label("held")).order_by(
                proxy_pool.c.id
            )
        )
        .mappings()
        .all()
    )
    wrong = [row for row in found if row["assigned"] != row["held"]]
    for row in wrong:
        connection.execute(
            update_(proxy_pool).where(proxy_pool.c.id == row["id"]).values(assigned=row["held"])
        )
    return len(wrong)


def _account(connection: Connection, account_id: str) -> RowMapping:
    columns = accounts.c
    return (
        connection.execute(
            select(
                columns.id,
                columns.provider_id,
                columns.is_active,
                columns.egress_policy,
                columns.egress_bound,
                columns.proxy_id,
            ).where(columns.id == account_id)
        )
        .mappings()
        .one()
    )


def _keeps_place(connection: Connection, account: RowMapping) -> bool:
    if account["proxy_id"] is None or not account["is_active"]:
        return False
    if account["egress_policy"] == EgressPolicy.DIRECT:
        return False
    proxy = (
        connection.execute(
            select(proxy_pool.c.is_active, proxy_pool.c.provider_id).where(
                proxy_pool.c.id == account["proxy_id"]
            )
        )
        .mappings()
        .one()
    )
    return bool(proxy["is_active"]) and _suits(proxy, account)


def _status_without_place(account: RowMapping) -> EgressStatus:
    match account["egress_policy"]:
        case EgressPolicy.REQUIRED:
            return EgressStatus.WAITING
        case EgressPolicy.AUTO if account["egress_bound"]:
            return EgressStatus.WAITING
        case _:
            return EgressStatus.DIRECT


class _Rooms:
    """The active proxies with room, in the order in which they fill; what is taken is gone."""

    def __init__(
        self, connection: Connection, *, without: Collection[str] = (), first: str | None = None
    ) -> None:
        columns = proxy_pool.c
        rows = connection.execute(
            select(columns.id, columns.provider_id, columns.max_accounts, columns.assigned)
            .where(columns.is_active == true(), _HAS_ROOM)
            .order_by(columns.priority.desc(), columns.id)
        ).mappings()
        open_ones = [row for row in rows if row["id"] not in without]
        self._proxies = sorted(open_ones, key=lambda row: row["id"] != first)
        self._taken: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self._proxies)

    def take(self, provider_id: str) -> str | None:
        """Return the first proxy with room for an account of this provider."""
        for position, proxy in enumerate(self._proxies):
            if proxy["provider_id"] in (None, provider_id):
                proxy_id: str = proxy["id"]
                taken = self._taken[proxy_id] = self._taken.get(proxy_id, 0) + 1
                if proxy["assigned"] + taken == proxy["max_accounts"]:
                    del self._proxies[position]
                return proxy_id
        return None


def _candidates() -> Select[tuple[str, str, str]]:
    is_waiting = accounts.c.egress_status == EgressStatus.WAITING
    return (
        select(accounts.c.id, accounts.c.provider_id, accounts.c.egress_status)
        .where(accounts.c.is_active == true(), or_(is_waiting, _goes_direct_by_chance()))
        .order_by(case((is_waiting, 0), else_=1), accounts.c.id)
    )


def _goes_direct_by_chance() -> ColumnElement[bool]:
    return and_(
        accounts.c.egress_policy == EgressPolicy.AUTO,
        accounts.c.egress_status == EgressStatus.DIRECT,
        accounts.c.egress_bound == false(),
    )


def _suits(proxy: RowMapping, account: RowMapping) -> bool:
    return proxy["provider_id"] is None or proxy["provider_id"] == account["provider_id"]


def _enter(connection: Connection, account_id: str, proxy_id: str) -> bool:
    taken = connection.execute(
        update_(proxy_pool)
        .where(proxy_pool.c.id == proxy_id, proxy_pool.c.is_active == true(), _HAS_ROOM)
        .values(assigned=proxy_pool.c.assigned + 1)
    )
    if taken.rowcount != 1:
        return False
    connection.execute(
        update_(accounts)
        .where(accounts.c.id == account_id)
        .values(proxy_id=proxy_id, egress_status=EgressStatus.ASSIGNED, egress_bound=True)
    )
    return True


def _give_back(connection: Connection, proxy_id: str) -> None:
    connection.execute(
        update_(proxy_pool)
        .where(proxy_pool.c.id == proxy_id, proxy_pool.c.assigned > 0)
        .values(assigned=proxy_pool.c.assigned - 1)
    )
