"""What is told when a request does not come through: the same, whichever client sends it."""

from models.egress import EgressProxy
from models.errors import (
    Blame,
    ConnectFailed,
    ConnectionLost,
    StreamBroken,
    TimedOut,
    UpstreamError,
)
from services.reach import NoWay, ProxyFailed, Reach, of_reply


def unconnected(error: NoWay, host: str, egress: EgressProxy | None, reach: Reach) -> ConnectFailed:
    """Say whose fault it is that no connection came about. `host`: of the provider, with port."""
    if egress is None:
        return ConnectFailed("could not connect to the provider", blame=Blame.PROVIDER)
    failed = ConnectFailed(
        "could not reach the provider through the account's proxy",
        blame=reach.blame(error, host, egress.id),
    )
    failed.evidence = str(error)
    return failed


def refused_credentials() -> ConnectFailed:
    """Say that a proxy answered 407 in the provider's stead."""
    refused = ConnectFailed("the outbound proxy refused our credentials", blame=Blame.EGRESS)
    refused.evidence = "the proxy refused our credentials"
    return refused


def unsupported_proxy() -> ConnectFailed:
    """Say that a proxy's address has a scheme which nobody here speaks."""
    return ConnectFailed("no such kind of proxy", blame=Blame.EGRESS)


def of_socks(reply: int | None) -> NoWay:
    """Say what the failure of a SOCKS proxy means; `reply`: None where it gave none."""
    if reply is not None:
        return of_reply(reply)
    return ProxyFailed("the proxy broke off or refused our credentials")


def lost() -> ConnectionLost:
    """Say that a connection broke while its request waited: the provider may have seen it."""
    return ConnectionLost("the provider closed the connection without an answer")


def malformed() -> UpstreamError:
    """Say that what came is no answer."""
    return UpstreamError("the provider's answer is not valid HTTP", blame=Blame.PROVIDER)


def unsendable() -> UpstreamError:
    """Say that a request cannot be written as HTTP."""
    return UpstreamError("the request could not be sent", blame=Blame.PROVIDER)


def late() -> TimedOut:
    """Say that no head came in time."""
    return TimedOut("the provider did not answer in time")


def silent() -> TimedOut:
    """Say that a whole answer stopped coming."""
    return TimedOut("the provider fell silent inside its answer")


def cut_answer() -> StreamBroken:
    """Say that a whole answer did not come to its end."""
    return StreamBroken("the provider's answer was cut off")


def cut_stream() -> StreamBroken:
    """Say that a stream did not come to its end."""
    return StreamBroken("the provider's stream was cut off")


def too_large() -> StreamBroken:
    """Say that an answer is beyond what is read whole."""
    return StreamBroken("the provider's answer is larger than allowed")
