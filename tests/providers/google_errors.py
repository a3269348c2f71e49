"""Google's errors as its servers write them."""

import json

from models.json_types import Json, JsonObject

TYPE = "type.googleapis.com/google.rpc."


def body(
    code: int, status: str, message: str = "m", *details: JsonObject, listed: bool = False
) -> bytes:
    error: JsonObject = {"code": code, "message": message, "status": status}
    if details:
        error["details"] = list(details)
    told: Json = {"error": error}
    return json.dumps([told] if listed else told).encode()


def info(reason: str, **metadata: str) -> JsonObject:
    return {
        "@type": TYPE + "ErrorInfo",
        "reason": reason,
        "domain": "googleapis.com",
        "metadata": dict(metadata),
    }


def retry(delay: str) -> JsonObject:
    return {"@type": TYPE + "RetryInfo", "retryDelay": delay}


def quota(*names: str) -> JsonObject:
    return {"@type": TYPE + "QuotaFailure", "violations": [{"quotaId": name} for name in names]}


def help_at(*urls: str) -> JsonObject:
    return {"@type": TYPE + "Help", "links": [{"description": "d", "url": url} for url in urls]}
