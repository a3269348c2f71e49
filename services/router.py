"""Which providers may serve a model name: explicit choice first, then the longest prefix."""

import re
from collections.abc import Iterable, Mapping, Sequence

from models.errors import NoRoute
from providers.base import Provider, Route

_MAX_CACHED = 4096
# No model has a name that long; names are kept as keys here and elsewhere.
_MAX_NAME_CHARS = 256
# Some vendors take the name in the address. It is quoted there, but servers between us and them
# may undo that, and walk up. Half a surrogate pair is what bytes of a header become that are no
# text: it can be neither sent nor kept, and would spoil what others store in the same moment.
_NO_NAME = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]|(?:^|[/\\:])\.{1,2}(?:$|[/\\])")


class Router:
    """An immutable table of prefixes; a new one is made when providers change."""

    def __init__(
        self, providers: Mapping[str, Provider], prefixes: Mapping[str, Sequence[str]]
    ) -> None:
        """`prefixes`: prefix -> provider ids in order of preference; unknown ids do not count."""
        self._providers = providers
        self._prefixes: dict[str, tuple[Provider, ...]] = {}
        for prefix, names in prefixes.items():
            found = tuple(providers[name] for name in names if name in providers)
            if found:
                self._prefixes[prefix.lower()] = found
        self._lengths = sorted({len(prefix) for prefix in self._prefixes}, reverse=True)
        self._cache: dict[str, tuple[Route, ...]] = {}

    def resolve(self, model: str) -> tuple[Route, ...]:
        """Return the routes of a model in order of preference. Raises NoRoute."""
        routes = self._cache.get(model)
        if routes is None:
            routes = self._explicit(model) or self._by_prefix(model)
            if not routes or len(model) > _MAX_NAME_CHARS or _NO_NAME.search(model):
                raise NoRoute(self._unknown(model))
            if len(self._cache) >= _MAX_CACHED:
                self._cache.clear()
            self._cache[model] = routes
        return routes

    def _explicit(self, model: str) -> tuple[Route, ...]:
        # The part before is a provider only if we know one of that name: model ids of other
        # makers contain slashes and colons too.
        for separator in "/:":
            name, found, rest = model.partition(separator)
            provider = self._providers.get(name.lower())
            if found and rest and provider is not None:
                return (Route(provider, rest),)
        return ()

    def _by_prefix(self, model: str) -> tuple[Route, ...]:
        lowered = model.lower()
        for length in self._lengths:
            providers = self._prefixes.get(lowered[:length])
            if providers is not None:
                return tuple(Route(provider, model) for provider in providers)
        return ()

    def _unknown(self, model: str) -> str:
        shown = model if len(model) <= 100 else model[:100] + "..."
        prefixes = ", ".join(sorted(self._prefixes)) or "none"
        providers = ", ".join(sorted(self._providers)) or "none"
        return (
            f"model {shown!r} is not served here; known model prefixes: {prefixes}; "
            f"or name a provider as provider/model: {providers}"
        )


def merged_prefixes(
    configured: Mapping[str, Sequence[str]], providers: Iterable[Provider], replaced: frozenset[str]
) -> dict[str, list[str]]:
    """Join the configured prefixes with those that providers carry themselves.

    A provider in `replaced` had its prefixes changed by the operator: the configuration's
    mentions of it no longer count. Others come after those the configuration names.
    """
    merged = {
        prefix.lower(): [name for name in names if name not in replaced]
        for prefix, names in configured.items()
    }
    for provider in providers:
        for prefix in provider.prefixes:
            names = merged.setdefault(prefix.lower(), [])
            if provider.id not in names:
                names.append(provider.id)
    return merged
