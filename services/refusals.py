"""Refusals that name the field at fault, as every use case of `/api/v1` gives them."""

from models.errors import BadRequest, Unprocessable
from repositories.base import ProviderRepository
from services.guard import AddressGuard


def refused(path: str, message: str) -> Unprocessable:
    """Return the 422 that blames one field of the body."""
    return Unprocessable(
        f"{path}: {message}", path=path, details={"fields": [{"path": path, "message": message}]}
    )


async def check_address(
    guard: AddressGuard, url: str, *, schemes: frozenset[str], path: str
) -> None:
    """Raise Unprocessable when the gateway may not connect there."""
    try:
        await guard.check_url(url, schemes=schemes, path=path)
    except BadRequest as error:
        raise refused(path, error.message.removeprefix(f"{path}: ")) from error


async def check_provider(providers: ProviderRepository, provider_id: str) -> None:
    """Raise Unprocessable when a body names a provider that does not exist."""
    if await providers.get(provider_id) is None:
        raise refused("provider_id", f"there is no provider {provider_id!r}")
