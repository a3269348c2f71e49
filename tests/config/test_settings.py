import ipaddress
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from config.fields import SecretUrl
from config.keys import KEYS
from config.reference import effective
from config.settings import Database, Redis, Routing, Security, Server, Settings

ADMIN_KEY = "canary-admin-key-0123456789-0123456789"
MASTER_KEY = "canaryMasterKey0123456789canaryMasterKey012"


def with_secrets() -> Settings:
    return Settings(
        database=Database(url=SecretUrl("mysql://user:canary%2Fdb@host:3306/name?ssl_key=canary")),
        redis=Redis(url=SecretUrl("redis://:canary-redis@host/0")),
        security=Security(admin_key=SecretStr(ADMIN_KEY), master_key=SecretStr(MASTER_KEY)),
    )


def test_settings_cannot_be_changed() -> None:
    settings = Settings()
    with pytest.raises(ValidationError):
        settings.server.port = 1  # type: ignore[misc]  # that it is refused is the point
    with pytest.raises(TypeError):
        settings.routing.prefixes["x"] = ("y",)  # type: ignore[index]  # likewise


@pytest.mark.parametrize(
    "show", [repr, str, effective, lambda settings: settings.model_dump_json()]
)
def test_secrets_are_in_no_picture_of_the_settings(show: object) -> None:
    assert callable(show)
    picture = show(with_secrets())
    assert "canary" not in picture
    assert "8088" in picture


def test_the_place_of_the_stores_is_shown_without_their_passwords() -> None:
    shown = effective(with_secrets())
    assert "mysql+pymysql://user:***@host:3306/name?ssl_key=***" in shown
    assert "redis://:***@host/0" in shown


def test_the_secrets_are_listed_for_the_mask_of_the_logs() -> None:
    assert set(with_secrets().secrets()) == {
        ADMIN_KEY,
        MASTER_KEY,
        "canary%2Fdb",
        "canary/db",
        "canary-redis",
    }
    assert Settings().secrets() == ()


@pytest.mark.parametrize("dotted", sorted(KEYS))
def test_every_key_says_what_it_means(dotted: str) -> None:
    assert KEYS[dotted].meaning.endswith(".")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mysql://u:p@h/n", "mysql+pymysql://u:p@h/n"),
        ("mariadb://u:p@h/n", "mariadb+pymysql://u:p@h/n"),
        ("mysql+pymysql://u:p@h:3307/n?charset=utf8mb4", None),
        ("sqlite:///relative.db", None),
        ("sqlite:////absolute.db", None),
    ],
)
def test_database_addresses_name_the_driver_that_is_installed(
    url: str, expected: str | None
) -> None:
    assert Settings(database=Database(url=SecretUrl(url))).database_url == (expected or url)


@pytest.mark.parametrize(
    ("url", "in_memory"),
    [
        ("", False),
        ("sqlite://", True),
        ("sqlite:///", True),
        ("sqlite:///:memory:", True),
        ("sqlite+pysqlite:///:memory:", True),
        ("sqlite:///file:x?mode=memory&uri=true", True),
        ("sqlite:///memory.db", False),
        ("mysql://u@h/memory", False),
    ],
)
def test_a_database_in_memory_is_known_as_such(url: str, in_memory: bool) -> None:
    assert Settings(database=Database(url=SecretUrl(url))).is_database_in_memory is in_memory


@pytest.mark.parametrize(
    ("host", "beyond"),
    [
        ("127.0.0.1", False),
        ("127.9.9.9", False),
        ("::1", False),
        ("[::1]", False),
        ("localhost", False),
        ("LOCALHOST", False),
        ("0.0.0.0", True),  # noqa: S104 - judged here, not bound
        ("::", True),
        ("192.168.1.5", True),
        ("gateway.example.com", True),
        ("localhost.example.com", True),
        ("0", True),
    ],
)
def test_an_address_that_others_can_reach_is_known_as_such(host: str, beyond: bool) -> None:
    assert Settings(server=Server(host=host)).listens_beyond_loopback is beyond


def test_the_master_key_lies_in_the_data_folder_unless_told_otherwise() -> None:
    assert Settings(data_dir=Path("/d")).master_key_file == Path("/d/master.key")
    elsewhere = Security(master_key_file="/e/key")
    assert Settings(security=elsewhere).master_key_file == Path("/e/key")


def test_prefixes_are_case_insensitive_and_keep_their_providers_order() -> None:
    assert dict(Routing(prefixes={"GPT-": ("b", "a")}).prefixes) == {"gpt-": ("b", "a")}


def test_networks_may_be_given_as_objects() -> None:
    network = ipaddress.ip_network("10.0.0.0/8")
    assert Security(allowed_private_networks=(network,)).allowed_private_networks == (network,)
