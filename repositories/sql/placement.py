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

from collections.abc import Sequence

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
from repositories.sql.tables import accounts, proxy_pool

_HAS_ROOM = or_(proxy_pool.c.max_accounts == 0, proxy_pool.c.assigned < proxy_pool.c.max_accounts)


def place(connection: Connection, account_id: str) -> None:
    """Bring one account to where its state demands: it keeps a place that still fits, gives up
    one that does not, and takes the first that is free."""
    account = _account(connection, account_id)
    if _keeps_place(connection, account):
        return
    release(connection, account_id)
    if not account["is_active"] or account["egress_policy"] == EgressPolicy.DIRECT:
        return
    for proxy in _open_proxies(connection):
        if _suits(proxy, account) and _enter(connection, account_id, proxy):
            return


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
        connection.execute(
            update_(proxy_pool)
            .where(proxy_pool.c.id == account["proxy_id"], proxy_pool.c.assigned > 0)
            .values(assigned=proxy_pool.c.assigned - 1)
        )


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
    proxies = _open_proxies(connection)
    if not proxies:
        return 0
    waiting = 0
    for account in connection.execute(_candidates()).mappings().all():
        for proxy in proxies:
            if _suits(proxy, account) and _enter(connection, account["id"], proxy):
                waiting += account["egress_status"] == EgressStatus.WAITING
                break
        else:
            continue
        proxies = _open_proxies(connection)
        if not proxies:
            break
    return waiting


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


def _open_proxies(connection: Connection) -> Sequence[RowMapping]:
    """Return the active proxies with room, in the order in which they fill."""
    return (
        connection.execute(
            select(proxy_pool.c.id, proxy_pool.c.provider_id)
            .where(proxy_pool.c.is_active == true(), _HAS_ROOM)
            .order_by(proxy_pool.c.priority.desc(), proxy_pool.c.id)
        )
        .mappings()
        .all()
    )


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


def _enter(connection: Connection, account_id: str, proxy: RowMapping) -> bool:
    taken = connection.execute(
        update_(proxy_pool)
        .where(proxy_pool.c.id == proxy["id"], proxy_pool.c.is_active == true(), _HAS_ROOM)
        .values(assigned=proxy_pool.c.assigned + 1)
    )
    if taken.rowcount != 1:
        return False
    connection.execute(
        update_(accounts)
        .where(accounts.c.id == account_id)
        .values(proxy_id=proxy["id"], egress_status=EgressStatus.ASSIGNED, egress_bound=True)
    )
    return True
