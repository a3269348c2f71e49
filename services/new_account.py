"""An account as its body describes it, whichever way it comes in."""

from models.account import Account, EgressPolicy
from openapi.accounts import AccountCreate


def new_account(
    body: AccountCreate, account_id: str, now: float, *, default_policy: EgressPolicy
) -> Account:
    """Return an account that is not stored yet; `now` in epoch seconds."""
    return Account(
        id=account_id,
        provider_id=body.provider_id,
        label=body.label,
        auth_type=body.auth_type,
        is_active=body.is_active,
        priority=body.priority,
        egress_policy=body.egress_policy or default_policy,
        models=None if body.models is None else tuple(body.models),
        max_concurrent=body.max_concurrent,
        weight=body.weight,
        identity=body.identity,
        metadata=dict(body.metadata),
        expires_at=body.auth_data.credentials().expires_at,
        created_at=now,
        updated_at=now,
    )
