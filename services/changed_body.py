"""An answer whose body is changed on the way; the rest of it is as the provider sent it."""

from collections.abc import Mapping
from typing import Generic, TypeVar

from models.ports import UpstreamResponse

R = TypeVar("R", bound=UpstreamResponse)


class ChangedBody(Generic[R]):
    """What is common to `UpstreamResponse`s that read from another one."""

    def __init__(self, response: R) -> None:
        self._response = response

    @property
    def status(self) -> int:
        return self._response.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._response.headers

    def close(self) -> None:
        self._response.close()
