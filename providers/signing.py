"""How calls are signed: who the account is, put into headers."""

from collections.abc import Callable
from typing import TypeAlias

from models.account import Account, AuthType, Credentials

Sign: TypeAlias = Callable[[dict[str, str], Account, Credentials], None]
"""Adds the account's credential to lower-cased headers, in place."""

# Anthropic takes OAuth tokens only together with this beta.
_ANTHROPIC_OAUTH_BETA = "oauth-2025-04-20"


def bearer(headers: dict[str, str], _account: Account, credentials: Credentials) -> None:
    """Sign with `Authorization: Bearer`."""
    headers["authorization"] = f"Bearer {credentials.access}"


def anthropic(headers: dict[str, str], account: Account, credentials: Credentials) -> None:
    """Sign with `x-api-key` for keys, Bearer for tokens; never both."""
    if account.auth_type is AuthType.API_KEY:
        headers["x-api-key"] = credentials.access
        return
    bearer(headers, account, credentials)
    if account.auth_type is AuthType.OAUTH:
        betas = [beta for beta in headers.get("anthropic-beta", "").split(",") if beta.strip()]
        if _ANTHROPIC_OAUTH_BETA not in (beta.strip() for beta in betas):
            betas.append(_ANTHROPIC_OAUTH_BETA)
        headers["anthropic-beta"] = ",".join(betas)


def google(headers: dict[str, str], account: Account, credentials: Credentials) -> None:
    """Sign with `x-goog-api-key` for keys, Bearer for tokens; never both.

    A token may be used on account of a project, which the account's metadata names then.
    """
    if account.auth_type is AuthType.API_KEY:
        headers["x-goog-api-key"] = credentials.access
        return
    bearer(headers, account, credentials)
    project = account.metadata.get("project_id")
    if isinstance(project, str) and project:
        headers["x-goog-user-project"] = project
