"""The headers of an answer."""

from typing import Final, TypeVar, overload

_T = TypeVar("_T")

_get: Final = dict.get


class Headers(dict[str, str]):
    """Values by name; names are found however they are spelled and listed in lower case.

    Values of a name that came several times are joined with ", " (RFC 9110 section 5.2).
    """

    __slots__ = ()

    def __missing__(self, name: str) -> str:
        lowered = name.lower()
        if lowered != name and lowered in self:
            return self[lowered]
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())

    @overload
    def get(self, name: str, default: None = None, /) -> str | None: ...
    @overload
    def get(self, name: str, default: str, /) -> str: ...
    @overload
    def get(self, name: str, default: _T, /) -> str | _T: ...
    def get(self, name: str, default: object = None, /) -> object:
        return _get(self, name.lower(), default)
