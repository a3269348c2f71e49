"""What we can answer ourselves of an operation that a provider does not have."""

from dialects.base import Dialect, Operation
from dialects.counting import counted
from dialects.estimate import estimated_tokens
from dialects.fields import dumps
from models.errors import Unrepresentable
from models.exchange import ProxyRequest
from models.usage import Usage
from providers.base import Route
from services.plan import reply_context
from services.reply import Reply


def own_answer(request: ProxyRequest, client: Dialect, route: Route) -> Reply:
    """Estimate a count of tokens, and say so; raises Unrepresentable for anything else."""
    if client.operation is not Operation.COUNT:
        raise Unrepresentable(f"provider {route.provider.id} does not offer {client.name}")
    chat = client.decode_request(request.payload)
    answer = counted(Usage(input_tokens=estimated_tokens(chat)), request.model)
    body = client.encode_response(answer, reply_context(request, chat))
    return Reply(dumps(body), headers={"x-aigateway-estimated": "true"})
