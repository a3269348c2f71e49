"""The types of settings: what a value must look like, and what of it may be shown."""

import re
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from types import MappingProxyType
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, SecretStr

from config.redaction import mask_url

_VISIBLE = re.compile(r"[\x21-\x7e]+")
_KEY_32_BYTES = re.compile(r"[A-Za-z0-9_\-]{43}=?")
_DATABASES = {
    "sqlite": "sqlite",
    "sqlite+pysqlite": "sqlite",
    "mysql": "mysql+pymysql",
    "mysql+pymysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
    "mariadb+pymysql": "mariadb+pymysql",
}


class SecretUrl(SecretStr):
    """An address that may hold a password: shown with the password masked."""

    def _display(self) -> str:
        return mask_url(self.get_secret_value())


def _network(value: object) -> object:
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    if isinstance(value, str):
        try:
            return ip_network(value)
        except ValueError as error:
            if "host bits" in str(error):
                meant = ip_network(value, strict=False)
                raise ValueError(f"has bits set behind the prefix; did you mean {meant}?") from None
    raise ValueError("must be an address or a network such as 10.0.0.0/8")


def _admin_key(key: SecretStr) -> SecretStr:
    text = key.get_secret_value()
    if not 32 <= len(text) <= 512:
        raise ValueError("must have 32 to 512 characters")
    # It travels in a header.
    if not _VISIBLE.fullmatch(text):
        raise ValueError("must consist of visible ASCII characters without spaces")
    return key


def _master_key(key: SecretStr) -> SecretStr:
    text = key.get_secret_value()
    if not _KEY_32_BYTES.fullmatch(text):
        raise ValueError("must be 32 random bytes as base64url (43 characters)")
    return key


def _database_url(url: SecretUrl) -> SecretUrl:
    text = url.get_secret_value()
    if not text:
        return url
    scheme, mark, rest = text.partition("://")
    if not mark or scheme not in _DATABASES:
        raise ValueError("must begin with sqlite:// or mysql+pymysql:// (mariadb+pymysql://)")
    if _DATABASES[scheme] != "sqlite" and not _has_host_and_path(text):
        raise ValueError("must name a host and a database, as mysql+pymysql://host/name does")
    return SecretUrl(f"{_DATABASES[scheme]}://{rest}")


def _redis_url(url: SecretUrl) -> SecretUrl:
    text = url.get_secret_value()
    if text and not text.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("must begin with redis://, rediss:// or unix://")
    return url


def _web_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        is_web = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_web = False
    if text and not is_web:
        raise ValueError("must begin with http:// or https:// and name a host")
    return text


def _secret_web_url(url: SecretUrl) -> SecretUrl:
    _web_url(url.get_secret_value())
    return url


def _webhook_secret(secret: SecretStr) -> SecretStr:
    if not 16 <= len(secret.get_secret_value()) <= 512:
        raise ValueError("must have 16 to 512 characters")
    return secret


def _has_host_and_path(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return bool(parts.hostname) and len(parts.path) > 1 and parts.port != 0
    except ValueError:
        return False


def _not_empty(items: tuple[str, ...]) -> tuple[str, ...]:
    if not items:
        raise ValueError("must not be empty")
    return items


def _prefixes(value: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
    """Lower-case the prefixes (they are case-insensitive) and close the mapping for good."""
    result: dict[str, tuple[str, ...]] = {}
    for prefix, providers in value.items():
        if prefix.lower() in result:
            raise ValueError(f"prefix {prefix!r} comes twice (case does not count)")
        result[prefix.lower()] = providers
    return MappingProxyType(result)


Seconds = Annotated[float, Field(gt=0, le=604_800)]
SecondsOrZero = Annotated[float, Field(ge=0, le=604_800)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Bytes = Annotated[int, Field(ge=1, le=1_000_000_000_000)]
Network = Annotated[
    IPv4Network | IPv6Network,
    BeforeValidator(_network),
    PlainSerializer(str, return_type=str),
]
AdminKey = Annotated[SecretStr, AfterValidator(_admin_key)]
MasterKey = Annotated[SecretStr, AfterValidator(_master_key)]
DatabaseUrl = Annotated[SecretUrl, AfterValidator(_database_url)]
RedisUrl = Annotated[SecretUrl, AfterValidator(_redis_url)]
ProviderId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")]
Prefix = Annotated[str, Field(pattern=r"^[!-~]{1,64}$")]
Prefixes = Annotated[
    Mapping[Prefix, Annotated[tuple[ProviderId, ...], AfterValidator(_not_empty)]],
    AfterValidator(_prefixes),
    PlainSerializer(lambda value: {key: list(ids) for key, ids in value.items()}),
]
ModelName = Annotated[str, Field(pattern=r"^[!-~]{1,256}$")]
Fallbacks = Annotated[
    Mapping[ModelName, Annotated[tuple[ModelName, ...], AfterValidator(_not_empty)]],
    AfterValidator(MappingProxyType),
    PlainSerializer(lambda value: {key: list(names) for key, names in value.items()}),
]
WebUrl = Annotated[str, Field(min_length=1, max_length=2048), AfterValidator(_web_url)]
PublicUrl = Annotated[str, Field(max_length=2048), AfterValidator(_web_url)]
SecretWebUrl = Annotated[SecretUrl, AfterValidator(_secret_web_url)]
WebhookSecret = Annotated[SecretStr, AfterValidator(_webhook_secret)]
