"""What Code Assist wants around a Gemini request, and at which paths."""

from typing import Final

from dialects.base import Operation
from dialects.fields import dumps
from models.account import Account
from models.json_types import JsonObject
from providers.antigravity.unwrap import StreamUnwrapper, unwrapped

CLIENT_NAME: Final = "aigateway"
"""What we say where the service asks for the client's name: we are nobody else."""

_BASE: Final = "/v1internal:"


def project_of(account: Account) -> str | None:
    """Return the project that an account's calls belong to, None while it is not known."""
    project = account.metadata.get("project_id")
    return project if isinstance(project, str) and project else None


class CodeAssistEnvelope:
    """Neither path nor headers name the model or the project: the envelope does."""

    def path(self, operation: Operation, *, stream: bool) -> str:
        """Return what is appended to the base URL."""
        if operation is Operation.COUNT:
            return _BASE + "countTokens"
        return _BASE + ("streamGenerateContent?alt=sse" if stream else "generateContent")

    def wrap(
        self, body: bytes, operation: Operation, *, model: str, account: Account, request_id: str
    ) -> bytes:
        """Put a request in. `body` is one JSON object and goes in as it is."""
        name = model.removeprefix("models/")
        if operation is Operation.COUNT:
            return b'{"request":%b}' % _with_members(body, {"model": f"models/{name}"})
        head: JsonObject = {"model": name}
        if (project := project_of(account)) is not None:
            head["project"] = project
        head |= {"userAgent": CLIENT_NAME, "requestId": request_id}
        return b'%b,"request":%b}' % (dumps(head)[:-1], body)

    def unwrap(self, body: bytes) -> bytes:
        """Take a whole answer out; what is not wrapped comes back as it is. Never raises."""
        return unwrapped(body)

    def unwrapper(self) -> StreamUnwrapper:
        return StreamUnwrapper()


def _with_members(body: bytes, members: JsonObject) -> bytes:
    """Return the object in `body` with members before its own."""
    rest = body.lstrip()[1:].lstrip()
    comma = b"" if rest.startswith(b"}") else b","
    return dumps(members)[:-1] + comma + rest
