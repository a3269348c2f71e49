"""Where the assembled services are found in the application."""

from typing import Final

from aiohttp import web

from services.gateway import Gateway

GATEWAY: Final = web.AppKey("gateway", Gateway)
