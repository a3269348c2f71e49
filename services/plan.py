"""How one request goes over one route: the body to send and the way its answer comes back."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from dialects.base import Adapt, Dialect, Encoded, ReplyContext
from dialects.fields import dumps, parse_object
from dialects.foreign import without_foreign
from dialects.renames import Restorer
from dialects.spelling import spelled
from dialects.stops import StopFilter, stopped
from models.chat import ChatRequest, ChatResponse
from models.content import Part, Reasoning, ToolCall
from models.errors import BadRequest, Unrepresentable
from models.exchange import ProxyRequest
from models.json_types import JsonObject
from models.profile import Profile
from providers.base import Offer, Route
from services.relay import EventFilter, RawRelay, Relay, TranslatedRelay

_PLAIN_NAME: Final = re.compile(r"[\w.\[\]-]{1,64}", re.ASCII)
_MAX_NAMES: Final = 32
_OPENAI: Final = "openai"
"""The vendor whose servers take a key for their cache of prompts."""

Renamed: TypeAlias = tuple[Mapping[str, str], Mapping[str, Mapping[str, str]]]
"""Tools, and properties of tools: `Encoded.tool_names` and `Encoded.properties`."""


@dataclass(slots=True)
class Plan:
    """A request made ready for a route."""

    route: Route
    client: Dialect
    offer: Offer
    body: bytes
    dropped: tuple[str, ...] = ()
    hides_usage: bool = False
    """The usage frame of the stream was asked for on our account only."""
    request: ChatRequest | None = None
    """Set when the answer must be translated, or filtered."""
    stops: tuple[str, ...] = ()
    renamed: Renamed | None = None
    """What goes by another name with the provider."""

    @property
    def upstream(self) -> Dialect:
        """The dialect that the provider is spoken to in."""
        return self.offer.dialect

    @property
    def profile(self) -> Profile:
        """Facts about the model; the raw path needs none, so they are looked up when asked for."""
        return self.offer.profile(self.route.model)

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
    offer = route.provider.offer_for(client)
    if offer is None:
        raise Unrepresentable(f"provider {route.provider.id} does not offer {client.name}")
    if offer.dialect is not client:
        return _translated(request, client, route, offer)
    if offer.adapt is not None:
        if offer.profile(route.model).is_guest:
            return _translated(request, client, route, offer)
        return _adapted(request, client, route, offer, offer.adapt)
    body = request.body
    if offer.foreign is not None:
        body = without_foreign(body, request.payload, offer.foreign)
    body, hides_usage = client.prepare_raw(
        body,
        request.payload,
        route.model,
        ask_usage=wants_usage and not offer.reports_stream_usage,
    )
    return Plan(route, client, offer, body, hides_usage=hides_usage)


def _adapted(
    request: ProxyRequest, client: Dialect, route: Route, offer: Offer, adapt: Adapt
) -> Plan:
    """The provider's own variant of the client's dialect: edit the request, relay the answer.

    What the variant lacks may be had in plainer words: free-text tools as functions, and the
    legacy ones as tools. Then both ways are translated.
    """
    payload = request.payload if offer.foreign is None else offer.foreign.clean(request.payload)
    try:
        encoded = adapt(payload, offer.profile(route.model))
    except Unrepresentable as refusal:
        try:
            return _translated(request, client, route, offer)
        except BadRequest:
            raise refusal from None
    needs_filter = encoded.stops or _renamed(encoded) is not None
    chat = client.decode_request(request.payload) if needs_filter else None
    return _planned(request, client, route, offer, encoded, chat)


def _translated(request: ProxyRequest, client: Dialect, route: Route, offer: Offer) -> Plan:
    profile = offer.profile(route.model)
    chat = client.decode_request(request.payload)
    if (chat.model, chat.stream) != (request.model, request.stream):
        # A dialect's address may say what its body does not.
        chat = replace(chat, model=request.model, stream=request.stream)
    cache_key = chat.cache_key
    if cache_key is None and profile.vendor == _OPENAI:
        cache_key = _cache_key(request, client)
    asked = chat
    if (chat.model, chat.cache_key) != (route.model, cache_key):
        asked = replace(chat, model=route.model, cache_key=cache_key)
    encoded = offer.dialect.encode_request(asked, profile)
    if offer.adapt is not None:
        encoded = _joined(encoded, offer.adapt(encoded.payload, profile))
    return _planned(request, client, route, offer, encoded, chat)


def _cache_key(request: ProxyRequest, client: Dialect) -> str | None:
    """Return what OpenAI shall keep a conversation's cache under; None when it has no name.

    Other keys may use the same name, and whatever a client calls it is not the provider's business.
    """
    name = request.session or client.session(request.payload).name
    if name is None:
        return None
    text = f"{request.key_id}\0{name}".encode("utf-8", "replace")
    return hashlib.sha256(text).hexdigest()[:32]


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
    client: Dialect,
    route: Route,
    offer: Offer,
    encoded: Encoded,
    chat: ChatRequest | None,
) -> Plan:
    dropped = spelled(encoded.dropped, request.payload, client.spellings)
    if dropped and request.strict:
        names = ", ".join(dropped)
        raise Unrepresentable(f"{names}: cannot be carried to provider {route.provider.id}")
    return Plan(
        route,
        client,
        offer,
        dumps(encoded.payload),
        dropped,
        request=chat,
        stops=encoded.stops,
        renamed=_renamed(encoded),
    )


def _renamed(encoded: Encoded) -> Renamed | None:
    names = (encoded.tool_names, encoded.properties)
    return names if any(names) else None


def without_signatures(plan: Plan) -> Plan | None:
    """Return the plan with nothing signed in its body; None where nothing is."""
    foreign = plan.offer.foreign
    if foreign is None:
        return None
    payload = parse_object(plan.body)
    bare = foreign.unsigned(payload)
    if bare is payload:
        return None
    return replace(plan, body=dumps(bare), dropped=(*plan.dropped, "signatures"))


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
        plan.upstream.decoder(plan.profile), plan.client.encoder(context), _filters(plan)
    )


def reply_context(request: ProxyRequest, chat: ChatRequest) -> ReplyContext:
    """Return what an encoder must know of the request it answers."""
    return ReplyContext(chat, request.id, int(request.received_at))


def _filters(plan: Plan) -> list[EventFilter]:
    filters: list[EventFilter] = []
    if plan.renamed is not None:
        names = Restorer(*plan.renamed)
        filters.append(lambda events: [kept for event in events for kept in names.feed(event)])
    if plan.stops:
        stops = StopFilter(plan.stops)
        filters.append(lambda events: [kept for event in events for kept in stops.feed(event)])
    return filters


def decoded(plan: Plan, payload: JsonObject) -> ChatResponse:
    """Read a provider's whole answer. Whose signatures are in it is known from who was asked: a
    format may be that of several vendors. Raises UpstreamError."""
    answer = plan.upstream.decode_response(payload)
    vendor = plan.profile.vendor
    parts = tuple([_owned(part, vendor) for part in answer.parts])
    return answer if parts == answer.parts else replace(answer, parts=parts)


def _owned(part: Part, vendor: str) -> Part:
    match part:
        case Reasoning(redacted=None) if vendor:
            return replace(part, origin=vendor)
        case ToolCall(signature=str()) if vendor:
            return replace(part, origin=vendor)
        case _:
            return part


def filtered(plan: Plan, answer: ChatResponse) -> ChatResponse:
    """Return a whole answer as the plan's filters would have streamed it."""
    if plan.renamed is not None:
        answer = Restorer(*plan.renamed).response(answer)
    return stopped(answer, plan.stops)
