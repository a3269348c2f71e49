"""`oauth.clients`: a mapping of small mappings, as strict as every other setting."""

import json
from pathlib import Path

import pytest

from config.keys import KEYS, Kind
from config.login_client import LoginClient
from config.redaction import KnownSecrets
from config.reference import effective
from tests.config.test_sources import load, problems

CLIENT = {
    "client_id": "client-1",
    "client_secret": "canary-secret-1",
    "authorize_url": "https://idp.example/authorize",
    "token_url": "https://idp.example/token",
}
YAML = """\
oauth:
  clients:
    openai:
      client_id: client-1
      client_secret: ${SECRET}
      authorize_url: https://idp.example/authorize
      token_url: https://idp.example/token
      scopes: [openid, offline_access]
      authorize_params: {prompt: login, audience: "${AUDIENCE:-api}"}
      token_params: {resource: canary-resource}
      facts: {chatgpt_account_id: https://api.example/auth.account}
      sends_state: true
    glm: {client_id: "2", token_url: http://t, device_url: http://d, client_auth: basic}
"""


def test_clients_are_read_from_the_file_with_references(tmp_path: Path) -> None:
    clients = load(tmp_path, YAML, {"SECRET": "canary-secret-1"}).oauth.clients
    assert list(clients) == ["openai", "glm"]
    first = clients["openai"]
    assert first.client_secret is not None
    assert first.client_secret.get_secret_value() == "canary-secret-1"
    assert first.scopes == ("openid", "offline_access")
    assert first.authorize_params == {"prompt": "login", "audience": "api"}
    assert first.facts == {"chatgpt_account_id": "https://api.example/auth.account"}
    assert (first.sends_state, first.identity, first.redirect_uri) == (True, "email", "")
    # A number is a text here, as the key wants one.
    assert (clients["glm"].client_id, clients["glm"].client_auth) == ("2", "basic")


def test_clients_in_the_environment_are_json_and_replace_the_whole(tmp_path: Path) -> None:
    literal = {**CLIENT, "client_secret": "${NOT_EXPANDED}", "scopes": ["a", "b"]}
    environ = {"AIGATEWAY_OAUTH__CLIENTS": json.dumps({"anthropic": literal})}
    clients = load(tmp_path, YAML, {**environ, "SECRET": "x"}).oauth.clients
    assert list(clients) == ["anthropic"]
    found = clients["anthropic"]
    assert found.client_secret is not None
    assert found.client_secret.get_secret_value() == "${NOT_EXPANDED}"
    assert found.scopes == ("a", "b")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "token_ulr: https://idp.example/token",
            "config.yaml:6: oauth.clients[openai][token_ulr]: unknown key "
            "(did you mean token_url?)",
        ),
        ("client_id: again", "config.yaml:6: oauth.clients[openai][client_id]: duplicate key"),
        ("scopes: {a: b}", "config.yaml:6: oauth.clients[openai][scopes]: must be a list"),
        (
            "client_secret: ${MISSING}",
            "config.yaml:6: oauth.clients[openai][client_secret]: environment variable MISSING is "
            "not set and has no default",
        ),
        (
            "facts: {a: b, a: c}",
            "config.yaml:6: oauth.clients[openai][facts][a]: duplicate key",
        ),
        (
            "device: magic",
            "config.yaml:6: oauth.clients[openai][device]: must be one of rfc8628, openai",
        ),
        (
            "authorize_url: ftp://canary",
            "config.yaml:6: oauth.clients[openai][authorize_url]: must begin with http:// or "
            "https:// and name a host",
        ),
        (
            "token_params: {code_verifier: x}",
            "config.yaml:6: oauth.clients[openai][token_params]: must not set code_verifier",
        ),
        (
            "token_params: {scope: x}",
            "config.yaml:6: oauth.clients[openai][token_params]: must not set scope; `scopes` says "
            "what a login asks for",
        ),
        ("sends_state: yes", "config.yaml:6: oauth.clients[openai][sends_state]: must be true or"),
    ],
)
def test_complaints_name_file_line_and_key(tmp_path: Path, line: str, message: str) -> None:
    text = (
        "oauth:\n  clients:\n    openai:\n      client_id: one\n"
        f"      token_url: https://idp.example/token\n      {line}\n"
    )
    if not line.startswith("authorize_url"):
        text += "      authorize_url: https://idp.example/authorize\n"
    (found,) = problems(tmp_path, text)
    assert found.startswith(message)
    assert "canary" not in found


def test_what_is_left_out_and_what_makes_no_sense_is_told(tmp_path: Path) -> None:
    text = "oauth:\n  clients:\n    a: {client_id: one}\n    b: text\n"
    assert problems(tmp_path, text) == [
        "config.yaml:4: oauth.clients[b]: must be a mapping",
    ]
    assert problems(tmp_path, text.replace("text", "{}")) == [
        "config.yaml:3: oauth.clients[a][token_url]: must be given",
        "config.yaml:4: oauth.clients[b][client_id]: must be given",
        "config.yaml:4: oauth.clients[b][token_url]: must be given",
    ]
    alone = "oauth:\n  clients:\n    a: {client_id: one, token_url: https://t}\n"
    assert problems(tmp_path, alone) == [
        "config.yaml:3: oauth.clients[a]: authorize_url or device_url must be given"
    ]


@pytest.mark.parametrize("text", ["[]", "openai", '{"a": ', '{"a": []}'])
def test_what_is_no_json_object_in_the_environment_is_refused(tmp_path: Path, text: str) -> None:
    (found,) = problems(tmp_path, environ={"AIGATEWAY_OAUTH__CLIENTS": text})
    assert found.startswith("environment: AIGATEWAY_OAUTH__CLIENTS")


def test_secrets_are_masked_in_what_is_shown_and_logged(tmp_path: Path) -> None:
    settings = load(tmp_path, YAML, {"SECRET": "canary-secret-1"})
    shown = effective(settings) + repr(settings)
    assert "canary" not in shown
    assert "client_id: client-1" in shown
    assert "client_secret: '***'" in shown
    assert "canary" not in KnownSecrets(settings.secrets()).mask("said canary-secret-1 aloud")


def test_the_keys_of_a_client_are_those_of_its_model() -> None:
    columns = KEYS["oauth.clients"].columns
    assert list(columns) == list(LoginClient.model_fields)
    kinds = {name: column.kind for name, column in columns.items()}
    assert (kinds["scopes"], kinds["facts"], kinds["sends_state"]) == (
        Kind.LIST,
        Kind.PAIRS,
        Kind.SWITCH,
    )
