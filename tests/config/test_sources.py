from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import ConfigError
from config.keys import KEYS, VARIABLES
from config.settings import Settings
from config.sources import load_settings

Environ = Mapping[str, str]


def load(
    tmp_path: Path,
    text: str | bytes = "",
    environ: Environ | None = None,
    options: Environ | None = None,
) -> Settings:
    path = tmp_path / "config.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_settings(path, environ or {}, options)


def problems(
    tmp_path: Path,
    text: str | bytes = "",
    environ: Environ | None = None,
    options: Environ | None = None,
) -> list[str]:
    """Return the messages, the temporary folder taken off."""
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text, environ, options)
    return [str(problem).replace(f"{tmp_path}/", "") for problem in caught.value.problems]


# --- where settings come from ---


def test_without_file_and_environment_everything_has_its_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load_settings(None, {})
    assert (settings.server.host, settings.server.port) == ("127.0.0.1", 8088)
    assert settings.database_url == f"sqlite:///{tmp_path}/data/aigateway.db"
    assert settings.redis_url == ""
    assert settings.master_key_file == tmp_path / "data" / "master.key"
    assert settings.security.allowed_private_networks == ()
    assert settings.routing.prefixes["claude-"] == ("anthropic", "antigravity")


def test_environment_wins_over_the_file_and_the_command_line_over_both(tmp_path: Path) -> None:
    text = "server: {port: 1000, host: 127.0.0.2, max_body_bytes: 5}"
    environ = {"AIGATEWAY_SERVER__PORT": "2000", "AIGATEWAY_SERVER__HOST": "127.0.0.3"}
    settings = load(tmp_path, text, environ, {"server.port": "3000"})
    assert settings.server.port == 3000
    assert settings.server.host == "127.0.0.3"
    assert settings.server.max_body_bytes == 5


def test_the_file_named_by_the_environment_is_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("server: {port: 1}")
    assert load_settings(None, {"AIGATEWAY_CONFIG": str(path)}).server.port == 1


def test_the_sample_in_the_working_directory_is_read_when_no_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text("server: {prot: 1}")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        load_settings(None, {"AIGATEWAY_CONFIG": ""})
    assert str(caught.value) == (
        "config/config.yaml:1: server.prot: unknown key (did you mean port?)"
    )


@pytest.mark.parametrize("text", ["", "\n# nothing\n", "---\n", "null", "server:\n", "\ufeff"])
def test_an_empty_file_or_section_changes_nothing(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, text) == load(tmp_path)


def test_the_data_folder_comes_from_its_own_variable_and_is_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load(tmp_path, environ={"AIGATEWAY_DATA_DIR": "here"})
    assert settings.data_dir == tmp_path / "here"
    assert settings.database_url == f"sqlite:///{tmp_path}/here/aigateway.db"


def test_other_variables_of_the_gateway_are_no_settings(tmp_path: Path) -> None:
    names = ["FAILPOINTS", "TEST_MYSQL_URL", "TEST_A__B", "WORKER", "WORKER_PARENT", "SERVICE_HOST"]
    assert load(tmp_path, environ={f"AIGATEWAY_{name}": "x" for name in names}) == load(tmp_path)


def test_the_variables_of_a_container_platform_are_no_settings(tmp_path: Path) -> None:
    environ = {
        "AIGATEWAY_SERVER_PORT": "tcp://10.0.0.1:8088",
        "AIGATEWAY_SERVER_PORT_8088_TCP": "tcp://10.0.0.1:8088",
        "AIGATEWAY_PORT": "tcp://10.0.0.1:8088",
    }
    assert load(tmp_path, environ=environ) == load(tmp_path)


# --- values ---


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.0/8, ::1", ["10.0.0.0/8", "::1/128"]),
        ('["10.0.0.0/8", "192.168.0.1"]', ["10.0.0.0/8", "192.168.0.1/32"]),
        ("10.0.0.0/8", ["10.0.0.0/8"]),
        ("", []),
        (" , ", []),
        ("[]", []),
    ],
)
def test_lists_in_the_environment_are_comma_separated_or_json(
    tmp_path: Path, text: str, expected: list[str]
) -> None:
    environ = {"AIGATEWAY_SECURITY__ALLOWED_PRIVATE_NETWORKS": text}
    networks = load(tmp_path, environ=environ).security.allowed_private_networks
    assert networks == tuple(map(ip_network, expected))


def test_mappings_in_the_environment_are_json_and_replace_the_whole(tmp_path: Path) -> None:
    environ = {"AIGATEWAY_ROUTING__PREFIXES": '{"GPT-": ["openai", "glm"], "x": "y, z"}'}
    prefixes = load(tmp_path, environ=environ).routing.prefixes
    assert dict(prefixes) == {"gpt-": ("openai", "glm"), "x": ("y", "z")}


@pytest.mark.parametrize(
    ("text", "key", "expected"),
    [
        pytest.param("server: {host: no}", "server.host", "no", id="no is a word"),
        pytest.param("server: {host: 12:30:00}", "server.host", "12:30:00", id="no time"),
        pytest.param("server: {port: 0x10}", "server.port", 16, id="hexadecimal"),
        pytest.param("server: {port: 0o17}", "server.port", 15, id="octal"),
        pytest.param("server: {port: 0017}", "server.port", 17, id="zeros are no octal"),
        pytest.param("server: {port: '80'}", "server.port", 80, id="quoted number"),
        pytest.param("redis: {timeout_s: 1}", "redis.timeout_s", 1.0, id="whole for a fraction"),
        pytest.param("redis: {timeout_s: .5}", "redis.timeout_s", 0.5, id="fraction"),
        pytest.param(
            "stats: {request_stream_usage: false}", "stats.request_stream_usage", False, id="switch"
        ),
        pytest.param(
            "security: {master_key_file: 0123}", "security.master_key_file", "0123", id="text"
        ),
        pytest.param("security: {admin_key: }", "security.admin_key", None, id="empty secret"),
        pytest.param("security: {admin_key: ''}", "security.admin_key", None, id="empty text"),
    ],
)
def test_scalars_are_read_for_the_key_they_are_for(
    tmp_path: Path, text: str, key: str, expected: object
) -> None:
    section, _, name = key.partition(".")
    value = getattr(getattr(load(tmp_path, text), section), name)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("server:\n  port: 1_000", "2: server.port: must be a whole number"),
        ("server:\n  port: 1.0", "2: server.port: must be a whole number"),
        ("server:\n  port: true", "2: server.port: must be a whole number"),
        ("server:\n  port: 99999", "2: server.port: must be at most 65535"),
        ("server:\n  port: -1", "2: server.port: must be at least 0"),
        ("server:\n  port:", "2: server.port: must be a whole number"),
        ("server:\n  port: [1]", "2: server.port: must be a single number"),
        (f"server:\n  port: {'9' * 5000}", "2: server.port: must be a whole number"),
        ("server:\n  host: ''", "2: server.host: must have at least 1 characters"),
        ("server:\n  host: a b", "2: server.host: has characters that are not allowed"),
        ("server:\n  host: {a: b}", "2: server.host: must be a single text"),
        ("redis:\n  timeout_s: .inf", "2: redis.timeout_s: must be a number"),
        ("redis:\n  timeout_s: 1e9999", "2: redis.timeout_s: must be a finite number"),
        ("redis:\n  timeout_s: 0", "2: redis.timeout_s: must be greater than 0"),
        ("redis:\n  url: http://h", "2: redis.url: must begin with redis://, rediss:// or unix://"),
        (
            "stats:\n  request_stream_usage: yes",
            "2: stats.request_stream_usage: must be true or false",
        ),
        (
            "stats:\n  request_stream_usage: 1",
            "2: stats.request_stream_usage: must be true or false",
        ),
        ("logs:\n  level: loud", "2: logs.level: must be one of debug, info, warning, error"),
        (
            "tokens:\n  lease_s: 5",
            "2: tokens: lease_s must be longer than http_timeout_s",
        ),
        (
            "database:\n  url: mysql://h",
            "2: database.url: must name a host and a database, as mysql+pymysql://host/name does",
        ),
        (
            "database:\n  url: oracle://h/x",
            "2: database.url: must begin with sqlite:// or mysql+pymysql:// (mariadb+pymysql://)",
        ),
        (
            "security:\n  allowed_private_networks:\n    - 10.0.0.0/8\n    - 10.0.0.1/8",
            "4: security.allowed_private_networks[1]: has bits set behind the prefix; "
            "did you mean 10.0.0.0/8?",
        ),
        (
            "security:\n  allowed_private_networks:\n    - [10.0.0.0/8]",
            "3: security.allowed_private_networks[0]: must be a single text",
        ),
        (
            "routing:\n  prefixes:\n    a: [b]\n    c: []",
            "4: routing.prefixes[c]: must not be empty",
        ),
        (
            "routing:\n  prefixes:\n    a: [b]\n    c: [B B]",
            "4: routing.prefixes[c][0]: has characters that are not allowed",
        ),
        ("routing:\n  prefixes:\n    a: [b]\n    a: [c]", "4: routing.prefixes[a]: duplicate key"),
        (
            "routing:\n  prefixes:\n    a: [b]\n    A: [c]",
            "2: routing.prefixes: prefix 'A' comes twice (case does not count)",
        ),
        ("routing:\n  prefixes:\n    a: {b: c}", "3: routing.prefixes[a]: must be a list"),
    ],
)
def test_a_bad_value_is_refused_with_file_line_and_key(
    tmp_path: Path, text: str, message: str
) -> None:
    assert problems(tmp_path, text) == [f"config.yaml:{message}"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("server:\n  prot: 1", "2: server.prot: unknown key (did you mean port?)"),
        ("server:\n  zzz: 1", "2: server.zzz: unknown key"),
        ("sever:\n  port: 1", "1: sever: unknown section (did you mean server?)"),
        ("port: 1", "1: port: unknown section (did you mean server.port?)"),
        ("<<: {a: 1}", "1: <<: unknown section"),
        (
            "data_dir: x",
            "1: data_dir: is set by AIGATEWAY_DATA_DIR in the environment; "
            "the scripts need it, too",
        ),
        ("server:\n  port: 1\n  port: 2", "3: server.port: duplicate key, first on line 2"),
        ("server:\n  port: 1\n'server': {}", "3: server: duplicate key, first on line 1"),
        ("server: 1", "1: server: is a section: keys are expected under it"),
        ("- server", "1: sections are expected (`server:`)"),
        ("just text", "1: sections are expected (`server:`)"),
    ],
)
def test_an_unknown_or_duplicate_key_is_refused_with_file_line_and_key(
    tmp_path: Path, text: str, message: str
) -> None:
    assert problems(tmp_path, text) == [f"config.yaml:{message}"]


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        (
            {"AIGATEWAY_SERVER__PROT": "1"},
            "AIGATEWAY_SERVER__PROT: unknown setting (did you mean AIGATEWAY_SERVER__PORT?)",
        ),
        (
            {"AIGATEWAY_SERVER_PORT": "1"},
            "AIGATEWAY_SERVER_PORT: unknown setting "
            "(did you mean AIGATEWAY_SERVER__PORT? with two underscores)",
        ),
        ({"AIGATEWAY_SERVER__PORT": "x"}, "AIGATEWAY_SERVER__PORT: must be a whole number"),
        ({"AIGATEWAY_SERVER__PORT": ""}, "AIGATEWAY_SERVER__PORT: must be a whole number"),
        (
            {"AIGATEWAY_SECURITY__ALLOWED_PRIVATE_NETWORKS": "10.0.0.0/8,nonsense"},
            "AIGATEWAY_SECURITY__ALLOWED_PRIVATE_NETWORKS[1]: "
            "must be an address or a network such as 10.0.0.0/8",
        ),
        (
            {"AIGATEWAY_SECURITY__ALLOWED_PRIVATE_NETWORKS": "[1"},
            "AIGATEWAY_SECURITY__ALLOWED_PRIVATE_NETWORKS: is not JSON",
        ),
        (
            {"AIGATEWAY_ROUTING__PREFIXES": "gpt-=openai"},
            'AIGATEWAY_ROUTING__PREFIXES: must be a JSON object such as {"gpt-": ["openai"]}',
        ),
        (
            {"AIGATEWAY_ROUTING__PREFIXES": '{"a": ["b"], "a": ["c"]}'},
            "AIGATEWAY_ROUTING__PREFIXES[a]: duplicate key",
        ),
        (
            {"AIGATEWAY_SECURITY__ADMIN_KEY": "short"},
            "AIGATEWAY_SECURITY__ADMIN_KEY: must have 32 to 512 characters",
        ),
        (
            {"AIGATEWAY_SECURITY__ADMIN_KEY": "a" * 20 + "\n" + "b" * 20},
            "AIGATEWAY_SECURITY__ADMIN_KEY: must consist of visible ASCII characters "
            "without spaces",
        ),
        (
            {"AIGATEWAY_SECURITY__MASTER_KEY": "a" * 42},
            "AIGATEWAY_SECURITY__MASTER_KEY: must be 32 random bytes as base64url (43 characters)",
        ),
        (
            {"AIGATEWAY_DATA_DIR": "a?b"},
            "AIGATEWAY_DATA_DIR: must be a plain path without `?` and control characters",
        ),
    ],
)
def test_a_bad_variable_is_refused_by_name(tmp_path: Path, environ: Environ, message: str) -> None:
    assert problems(tmp_path, environ=environ) == [f"environment: {message}"]


def test_a_bad_option_is_refused_by_name(tmp_path: Path) -> None:
    found = problems(tmp_path, options={"server.port": "x"})
    assert found == ["command line: --port: must be a whole number"]


def test_a_value_that_the_environment_replaces_is_blamed_on_the_environment(
    tmp_path: Path,
) -> None:
    text = "security:\n  allowed_private_networks:\n    - 10.0.0.0/8\n"
    found = problems(tmp_path, text, {"AIGATEWAY_SECURITY__ALLOWED_PRIVATE_NETWORKS": "x"})
    assert found == [
        "environment: AIGATEWAY_SECURITY__ALLOWED_PRIVATE_NETWORKS[0]: "
        "must be an address or a network such as 10.0.0.0/8"
    ]


def test_all_problems_are_shown_together_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = "server:\n  port: x\n  prot: 1\nlogs:\n  level: loud\nserver: {}\nredis: {url: '${U}'}"
    environ = {"AIGATEWAY_RETRY__MAX_ATTEMPTS": "0", "AIGATEWAY_STATS__X": ""}
    assert [line.partition(" ")[2] for line in problems(tmp_path, text, environ)] == [
        "server.port: must be a whole number",
        "server.prot: unknown key (did you mean port?)",
        "logs.level: must be one of debug, info, warning, error",
        "server: duplicate key, first on line 1",
        "redis.url: environment variable U is not set and has no default",
        "AIGATEWAY_STATS__X: unknown setting",
        "AIGATEWAY_RETRY__MAX_ATTEMPTS: must be at least 1",
    ]


# --- references ---


@pytest.mark.parametrize(
    ("text", "environ", "expected"),
    [
        pytest.param("${P}", {"P": "80"}, 80, id="set"),
        pytest.param("${P:-81}", {}, 81, id="default of an unset one"),
        pytest.param("${P:-81}", {"P": ""}, 81, id="default of an empty one"),
        pytest.param("${P:-81}", {"P": "80"}, 80, id="default not needed"),
        pytest.param("'${P:-81}'", {}, 81, id="quoted"),
        pytest.param("8${A}${B}", {"A": "0", "B": "8"}, 808, id="several in one"),
    ],
)
def test_references_make_numbers(
    tmp_path: Path, text: str, environ: Environ, expected: int
) -> None:
    assert load(tmp_path, f"server:\n  port: {text}", environ).server.port == expected


@pytest.mark.parametrize(
    ("text", "environ", "expected"),
    [
        pytest.param("$${A}", {"A": "x"}, "${A}", id="escaped"),
        pytest.param("a$b", {}, "a$b", id="a dollar alone"),
        pytest.param("${A}", {"A": "${B}", "B": "x"}, "${B}", id="not expanded again"),
        pytest.param("${A}", {"A": "null"}, "null", id="null is a text"),
        pytest.param("x${A}", {"A": ""}, "x", id="empty"),
    ],
)
def test_references_in_texts(tmp_path: Path, text: str, environ: Environ, expected: str) -> None:
    settings = load(tmp_path, f"security:\n  master_key_file: '{text}'", environ)
    assert settings.security.master_key_file == expected


def test_references_work_in_lists_and_make_lists(tmp_path: Path) -> None:
    text = """
security:
  allowed_private_networks: ["${A}", 10.2.0.0/16]
routing:
  prefixes: {gpt-: ["${C}"], claude-: "${D}"}
"""
    environ = {"A": "10.1.0.0/16", "C": "x", "D": "y,z"}
    settings = load(tmp_path, text, environ)
    networks = settings.security.allowed_private_networks
    assert list(map(str, networks)) == ["10.1.0.0/16", "10.2.0.0/16"]
    assert dict(settings.routing.prefixes) == {"gpt-": ("x",), "claude-": ("y", "z")}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("'${MISSING}'", "environment variable MISSING is not set and has no default"),
        ("'${open'", "`${` without `}` (write `$${` for a literal one)"),
        ("'${a b}'", "write ${NAME} or ${NAME:-default} (`$${` for a literal `${`)"),
        ("'${}'", "write ${NAME} or ${NAME:-default} (`$${` for a literal `${`)"),
    ],
)
def test_a_reference_that_cannot_be_replaced_is_refused(
    tmp_path: Path, text: str, message: str
) -> None:
    found = problems(tmp_path, f"\nserver:\n  host: {text}")
    assert found == [f"config.yaml:3: server.host: {message}"]


def test_a_missing_variable_in_a_list_is_refused_with_its_own_line(tmp_path: Path) -> None:
    text = "security:\n  allowed_private_networks:\n    - 10.0.0.0/8\n    - ${NET}"
    assert problems(tmp_path, text) == [
        "config.yaml:4: security.allowed_private_networks[1]: "
        "environment variable NET is not set and has no default"
    ]


def test_an_unquoted_reference_in_brackets_is_explained(tmp_path: Path) -> None:
    found = problems(tmp_path, "security:\n  allowed_private_networks: [${NET}]")
    assert found[0].startswith("config.yaml:2: not YAML: ")
    assert found[0].endswith('(inside brackets a reference needs quotes: ["${NAME}"])')


def test_references_cannot_blow_a_value_up(tmp_path: Path) -> None:
    text = "server: {host: '" + "${A}" * 1000 + "'}"
    assert problems(tmp_path, text, {"A": "x" * 10_000}) == [
        "config.yaml:1: server.host: longer than 1048576 characters once expanded"
    ]


# --- files ---


def test_a_file_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere.yaml: cannot be read: No such file"):
        load_settings(tmp_path / "nowhere.yaml", {})


def test_a_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_settings(None, {"AIGATEWAY_CONFIG": str(tmp_path)})


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot be read: not a file name"):
        load_settings(None, {"AIGATEWAY_CONFIG": "a\0b"})


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    found = problems(tmp_path, "#" * ((1 << 20) + 1))
    assert found == ["config.yaml: larger than 1048576 bytes"]


def test_a_file_that_is_not_utf8_is_refused_with_its_line(tmp_path: Path) -> None:
    assert problems(tmp_path, b"server:\n  host: \xff") == ["config.yaml: not UTF-8 (line 2)"]


# --- whatever stands there ---

_WORDS = (
    "server port routing prefixes security admin_key tokens lease_s stats logs level "
    "allowed_private_networks "
    ": - ? [ ] { } , & * ! | > ' \" % @ ` # ~ << --- ... &a *a !!int ${ ${A} $${ "
    "${A:-1} 1 0x1 1e9 .inf null true no 1_0 10.0.0.0/8 gpt- \\UFFFFFFFF"
)
_BLANKS = ["\n", "\n  ", "\n    ", ": ", " ", "\t", "\r", "\x85", "\u2028", "\x00", "\ud800"]
_TOKENS = st.sampled_from([*_WORDS.split(), *_BLANKS])


@given(text=st.one_of(st.text(), st.lists(_TOKENS, max_size=40).map("".join)))
def test_whatever_the_file_holds_gives_settings_or_a_config_error(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    content = text.encode("utf-8", "surrogatepass")
    _settings_or_refusal(tmp_path_factory.getbasetemp(), content, {"A": "1"})


@given(st.sampled_from(sorted(VARIABLES)), st.text(st.characters(exclude_characters="\0")))
def test_whatever_a_variable_holds_gives_settings_or_a_config_error(name: str, text: str) -> None:
    _settings_or_refusal(None, b"", {name: text})


@given(st.sampled_from(sorted(KEYS)), st.binary(max_size=30))
def test_whatever_a_known_key_holds_gives_settings_or_a_config_error(
    tmp_path_factory: pytest.TempPathFactory, dotted: str, value: bytes
) -> None:
    section, _, name = dotted.partition(".")
    content = f"{section}:\n  {name}: ".encode() + value
    _settings_or_refusal(tmp_path_factory.getbasetemp(), content, {})


def _settings_or_refusal(folder: Path | None, content: bytes, environ: Environ) -> None:
    path = None
    if folder is not None:
        path = folder / "any.yaml"
        path.write_bytes(content)
    outcome: Settings | ConfigError
    try:
        outcome = load_settings(path, environ)
    except ConfigError as error:
        outcome = error
    if isinstance(outcome, ConfigError):
        assert outcome.problems
        assert all(str(problem).isprintable() for problem in outcome.problems)
    else:
        assert outcome.database_url
