"""How one request goes over one route: the body to send and the way its answer comes back."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from dialects.base import Dialect, Encoded, ReplyContext
from dialects.fields import dumps
from dialects.renames import Restorer
from dialects.stops import StopFilter, stopped
from models.chat import ChatRequest, ChatResponse
from models.exchange import ProxyRequest
from models.profile import Profile
from providers.base import Route
from services.relay import EventFilter, RawRelay, Relay, TranslatedRelay

_PLAIN_NAME: Final = re.compile(r"[\w.\[\]-]{1,64}", re.ASCII)
_MAX_NAMES: Final = 32


@dataclass(frozen=True, slots=True)
class Plan:
    """A request made ready for a route."""

    route: Route
    client: Dialect
    upstream: Dialect
    body: bytes
    dropped: tuple[str, ...] = ()
    hides_usage: bool = False
    """The usage frame of the stream was asked for on our account only."""
    request: ChatRequest | None = None
    """Set when the answer must be translated, or filtered."""
    stops: tuple[str, ...] = ()
    tool_names: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def profile(self) -> Profile:
        """Facts about the model; the raw path needs none, so they are looked up when asked for."""
        return self.route.provider.profile(self.route.model)

    @property
    def dropped_names(self) -> str:
        """What could not be carried, for a header: clients choose the names of unknown fields."""
        names = [name if _PLAIN_NAME.fullmatch(name) else "other" for name in self.dropped]
        return ", ".join([*dict.fromkeys(names)][:_MAX_NAMES])

    @property
    def mode(self) -> str:
        return "raw" if self.request is None else "translated"


def make_plan(request: ProxyRequest, client: Dialect, route: Route, *, wants_usage: bool) -> Plan:
    """Choose raw where the provider speaks the client's dialect, else translate.

    `wants_usage`: ask a stream for its usage even if the client did not.
    Raises BadRequest or Unrepresentable.
    """
    provider = route.provider
    upstream = provider.dialect_for(client.name)
    if upstream is not client:
        return _translated(request, client, upstream, route)
    if provider.adapt is not None:
        return _adapted(request, client, route)
    body, hides_usage = client.prepare_raw(
        request.body,
        request.payload,
        route.model,
        ask_usage=wants_usage and not provider.reports_stream_usage,
    )
    return Plan(route, client, client, body, hides_usage=hides_usage)


def _adapted(request: ProxyRequest, client: Dialect, route: Route) -> Plan:
    """The provider's own variant of the client's dialect: edit the request, relay the answer."""
    assert route.provider.adapt is not None  # noqa: S101 - for the type checker
    profile = route.provider.profile(route.model)
    encoded = route.provider.adapt({**request.payload, "model": route.model}, profile)
    needs_filter = bool(encoded.stops or encoded.tool_names)
    chat = client.decode_request(request.payload) if needs_filter else None
    return _planned(request, route, client, client, encoded, chat)


def _translated(request: ProxyRequest, client: Dialect, upstream: Dialect, route: Route) -> Plan:
    profile = route.provider.profile(route.model)
    chat = client.decode_request(request.payload)
    encoded = upstream.encode_request(replace(chat, model=route.model), profile)
    if route.provider.adapt is not None:
        encoded = _joined(encoded, route.provider.adapt(encoded.payload, profile))
    return _planned(request, route, client, upstream, encoded, chat)


def _joined(first: Encoded, second: Encoded) -> Encoded:
    return Encoded(
        second.payload,
        tuple(dict.fromkeys(first.dropped + second.dropped)),
        first.stops + second.stops,
        {**first.tool_names, **second.tool_names},
        {**first.properties, **second.properties},
    )


def _planned(
    request: ProxyRequest,
    route: Route,
    client: Dialect,
    upstream: Dialect,
    encoded: Encoded,
    chat: ChatRequest | None,
) -> Plan:
    return Plan(
        route,
        client,
        upstream,
        dumps(encoded.payload),
        client.field_names(encoded.dropped, request.payload),
        request=chat,
        stops=encoded.stops,
        tool_names=encoded.tool_names,
        properties=encoded.properties,
    )


def open_relay(plan: Plan, request: ProxyRequest) -> Relay:
    """Return the relay for a streamed answer of this plan."""
    if plan.request is None:
        sniffer = plan.upstream.sniffer(hide_usage=plan.hides_usage)
        return RawRelay(plan.client, sniffer, request.id)
    return translated_relay(plan, request, plan.request)


def translated_relay(plan: Plan, request: ProxyRequest, chat: ChatRequest) -> TranslatedRelay:
    """Return a relay that decodes and encodes, whatever the dialects are."""
    context = reply_context(request, chat)
    return TranslatedRelay(
        plan.client,
        plan.upstream.decoder(plan.profile),
        plan.client.encoder(context),
        request.id,
        _filters(plan),
    )


def reply_context(request: ProxyRequest, chat: ChatRequest) -> ReplyContext:
    """Return what an encoder must know of the request it answers."""
    return ReplyContext(chat, request.id, int(request.received_at))


def _filters(plan: Plan) -> list[EventFilter]:
    filters: list[EventFilter] = []
    if plan.tool_names or plan.properties:
        names = Restorer(plan.tool_names, plan.properties)
        filters.append(lambda events: [kept for event in events for kept in names.feed(event)])
    if plan.stops:
        stops = StopFilter(plan.stops)
        filters.append(lambda events: [kept for event in events for kept in stops.feed(event)])
    return filters


def filtered(plan: Plan, answer: ChatResponse) -> ChatResponse:
    """Return a whole answer as the plan's filters would have streamed it."""
    return stopped(Restorer(plan.tool_names, plan.properties).response(answer), plan.stops)
