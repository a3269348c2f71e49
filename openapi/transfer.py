"""Bodies of importing and exporting accounts."""

import base64
from datetime import datetime
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field, JsonValue, SecretStr, model_validator

from models.account import Account, AuthType, Credentials, EgressPolicy
from models.json_types import JsonObject
from models.sealed_file import FORMAT, SealedFile
from openapi.fields import Answer, Body, Metadata

MAX_ACCOUNTS = 10_000
MAX_IMPORT_BYTES = 64 * 1024 * 1024

Passphrase: TypeAlias = Annotated[
    SecretStr, Field(min_length=12, max_length=1000, json_schema_extra={"writeOnly": True})
]


def _base64(text: str) -> str:
    _bytes(text)
    return text


Base64: TypeAlias = Annotated[str, Field(max_length=MAX_IMPORT_BYTES), AfterValidator(_base64)]


class Scrypt(Body):
    """How the key is made from the passphrase (RFC 7914)."""

    name: Literal["scrypt"]
    n: Annotated[int, Field(ge=2, le=2**22)]
    r: Annotated[int, Field(ge=1, le=64)]
    p: Annotated[int, Field(ge=1, le=16)]
    salt: Base64


class Cipher(Body):
    """How the content is sealed; the rest of the file is authenticated along with it."""

    name: Literal["AES-256-GCM"]
    nonce: Base64


class SealedAccounts(Body, Answer):
    """Accounts with their secrets, sealed under a passphrase."""

    format: Literal["aigateway-accounts"]
    version: Literal[1]
    kdf: Scrypt
    cipher: Cipher
    ciphertext: Base64
    """Base64 of the sealed JSON, with its tag."""

    def sealed(self) -> SealedFile:
        """Return the parts as bytes."""
        kdf = self.kdf
        salt, nonce = _bytes(kdf.salt), _bytes(self.cipher.nonce)
        return SealedFile(kdf.n, kdf.r, kdf.p, salt, nonce, _bytes(self.ciphertext))

    @classmethod
    def of(cls, file: SealedFile) -> "SealedAccounts":
        """Show a sealed file."""
        return cls(
            format=FORMAT,
            version=1,
            kdf=Scrypt(name="scrypt", n=file.n, r=file.r, p=file.p, salt=_text(file.salt)),
            cipher=Cipher(name="AES-256-GCM", nonce=_text(file.nonce)),
            ciphertext=_text(file.ciphertext),
        )


class AccountExport(Body):
    """What seals the exported secrets. It cannot be recovered."""

    passphrase: Passphrase


class AccountImport(Body):
    """Accounts to add: plain, or as an exported file. A bare JSON array means `accounts`."""

    accounts: Annotated[list[dict[str, JsonValue]], Field(max_length=MAX_ACCOUNTS)] | None = None
    """Each as in a POST that adds one account; one that is wrong does not keep out the others."""
    file: SealedAccounts | None = None
    """What an export with secrets gave."""
    passphrase: Passphrase | None = None
    """Of the file."""
    match: Literal["identity", "label"] = "identity"
    """An account is taken for one that is there by its credential or its identity; `label`: by its
    label as well."""
    update: bool = False
    """Change the accounts that are there; without it they stay as they are."""
    dry_run: bool = False
    """Only tell what would be done."""

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, value: object) -> object:
        return {"accounts": value} if isinstance(value, list) else value

    @model_validator(mode="after")
    def _one_source(self) -> "AccountImport":
        if (self.accounts is None) is (self.file is None):
            raise ValueError("give either accounts or file")
        if (self.file is None) is not (self.passphrase is None):
            raise ValueError("a file needs its passphrase, and nothing else has one")
        return self


class ImportedAccount(Answer):
    """What became of one account."""

    index: int
    """Its place in what was given, from 0."""
    outcome: Literal["created", "updated", "exists", "invalid"]
    account_id: str | None
    """Null where there is none, or will be none until the import is not a dry run."""
    label: str
    reason: str | None
    """Why it is not created: what is wrong, or what it was found by."""


class AccountImportAnswer(Answer):
    """What an import did, or would do."""

    dry_run: bool
    created: int
    updated: int
    exists: int
    invalid: int
    data: list[ImportedAccount]
    """In the order given."""


class ExportedAccount(Answer):
    """An account as an import takes it, but without its credential."""

    id: str
    provider_id: str
    label: str
    auth_type: AuthType
    metadata: Metadata
    is_active: bool
    priority: int
    models: list[str] | None
    max_concurrent: int
    weight: int
    identity: str | None
    egress_policy: EgressPolicy

    @classmethod
    def of(cls, account: Account) -> "ExportedAccount":
        """Show an account."""
        return cls(
            id=account.id,
            provider_id=account.provider_id,
            label=account.label,
            auth_type=account.auth_type,
            metadata=account.metadata,
            is_active=account.is_active,
            priority=account.priority,
            models=None if account.models is None else list(account.models),
            max_concurrent=account.max_concurrent,
            weight=account.weight,
            identity=account.identity,
            egress_policy=account.egress_policy,
        )


class AccountExportAnswer(Answer):
    """Every account, without credentials."""

    exported_at: datetime
    accounts: list[ExportedAccount]


def with_secrets(account: Account, credentials: Credentials) -> JsonObject:
    """Return the body that adds this very account. It must never leave the process unsealed."""
    shown: JsonObject = ExportedAccount.of(account).model_dump(mode="json", exclude={"id"})
    return {**shown, "auth_data": _auth_data(account.auth_type, credentials)}


def _auth_data(auth_type: AuthType, credentials: Credentials) -> JsonObject:
    match auth_type:
        case AuthType.API_KEY:
            return {"api_key": credentials.access}
        case AuthType.BEARER:
            return {"token": credentials.access}
        case AuthType.OAUTH:
            return _oauth_data(credentials)


def _oauth_data(credentials: Credentials) -> JsonObject:
    data: JsonObject = {
        "refresh_token": credentials.refresh or "",
        "access_token": credentials.access or None,
        "expires_at": credentials.expires_at,
    }
    client = credentials.oauth
    if client is not None:
        data |= {
            "token_url": client.token_url,
            "client_id": client.client_id,
            "client_secret": client.client_secret,
            "scopes": list(client.scopes),
            "token_body": client.token_body,
            "client_auth": client.client_auth,
            "token_params": dict(client.token_params),
        }
    return data


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:  # a character beyond ASCII, or none of base64's
        raise ValueError("must be base64") from error
