"""Values with every field defaulted, so that a test names only what it is about."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from dialects import DIALECTS
from dialects.base import Dialect, ModelEntry
from models.account import (
    Account,
    AuthType,
    Credentials,
    EgressPolicy,
    EgressStatus,
    StoredAccount,
)
from models.egress import EgressProxy
from models.profile import Profile
from providers.base import Offer, Provider
from providers.openai import diagnose
from providers.signing import bearer
from services.router import Router, merged_prefixes
from services.snapshot import Snapshot


def make_account(number: int = 1, **changes: object) -> Account:
    """An active account of provider `openai` that goes direct; ids sort by number."""
    account = Account(f"{number:032x}", "openai", f"account {number}", AuthType.API_KEY)
    return replace(account, **changes)  # type: ignore[arg-type] # names are checked at run time


def make_stored(number: int = 1, **changes: object) -> StoredAccount:
    return StoredAccount(make_account(number, **changes), Credentials(f"key-{number}"))


def make_egress(number: int = 1, url: str = "http://127.0.0.1:1", **changes: object) -> EgressProxy:
    return replace(EgressProxy(f"p{number:031x}", f"proxy {number}", url), **changes)  # type: ignore[arg-type]


def assigned(stored: StoredAccount, egress: EgressProxy) -> StoredAccount:
    """The account with a place at the proxy."""
    account = replace(
        stored.account,
        proxy_id=egress.id,
        egress_status=EgressStatus.ASSIGNED,
        egress_bound=True,
        egress_policy=EgressPolicy.REQUIRED,
    )
    return replace(stored, account=account)


def make_provider(
    provider_id: str = "openai",
    base_url: str = "http://127.0.0.1:1",
    dialect: Dialect | None = None,
    prefixes: tuple[str, ...] = ("gpt-",),
) -> Provider:
    return Provider(
        provider_id,
        provider_id,
        Offer(dialect or DIALECTS["chat"], base_url, bearer, Profile).spoken(),
        diagnose,
        prefixes,
    )


def make_snapshot(
    accounts: Sequence[StoredAccount] = (),
    proxies: Iterable[EgressProxy] = (),
    providers: Iterable[Provider] = (),
    models: Mapping[str, tuple[ModelEntry, ...]] | None = None,
    revision: int = 1,
) -> Snapshot:
    by_id = {provider.id: provider for provider in providers}
    groups: dict[str, list[StoredAccount]] = {}
    for stored in accounts:
        groups.setdefault(stored.account.provider_id, []).append(stored)
    return Snapshot(
        revision,
        {stored.account.id: stored for stored in accounts},
        {provider: tuple(entries) for provider, entries in groups.items()},
        {proxy.id: proxy for proxy in proxies},
        {},
        Router(by_id, merged_prefixes({}, by_id.values(), frozenset())),
        by_id,
        models or {},
    )
