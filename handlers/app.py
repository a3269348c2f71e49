"""The web application: every endpoint behind the gate."""

from collections.abc import Mapping, Sequence

from aiohttp import web

from dialects.base import Dialect
from handlers.calls import PACE, Pace
from handlers.endpoint import Endpoint
from handlers.gate import GATE, Gate
from services.authenticator import Authenticator

_USUAL_PACE = Pace()


def build_app(
    endpoints: Sequence[Endpoint],
    authenticator: Authenticator,
    dialects: Mapping[str, Dialect],
    pace: Pace = _USUAL_PACE,
) -> web.Application:
    """Make the application; a route that says not who may call it cannot be given."""
    gate = Gate(endpoints, authenticator, dialects)
    # Bodies are read and limited by our own readers; aiohttp's limit only has to let them.
    app = web.Application(middlewares=[gate.middleware()], client_max_size=1 << 40)
    app[PACE] = pace
    app[GATE] = gate
    app.on_startup.append(gate.check)
    app.on_response_prepare.append(gate.complete)
    for endpoint in endpoints:
        app.router.add_route(endpoint.method, endpoint.path, endpoint.handler)
        if endpoint.method == "GET":  # every server must know HEAD, too (RFC 9110 section 9.1)
            app.router.add_route("HEAD", endpoint.path, endpoint.handler)
    return app
