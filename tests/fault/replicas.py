"""Several gateways on one database and one Redis, each with a disk of its own."""

import base64
import secrets
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from tests.e2e.cluster import Cluster, open_cluster


@asynccontextmanager
async def open_replicas(
    folder: Path,
    *,
    database_url: str,
    redis_urls: Sequence[str],
    environment: Mapping[str, str] = {},
) -> AsyncGenerator[list[Cluster], None]:
    """Run one gateway for each address of Redis; all have the same keys.

    The first one's client key is everybody's.
    """
    common = {
        "AIGATEWAY_SECURITY__ADMIN_KEY": "admin-" + secrets.token_hex(20),
        "AIGATEWAY_SECURITY__MASTER_KEY": base64.urlsafe_b64encode(
            secrets.token_bytes(32)
        ).decode(),
        **environment,
    }
    async with AsyncExitStack() as stack:
        replicas: list[Cluster] = []
        for number, redis_url in enumerate(redis_urls):
            replica = await stack.enter_async_context(
                open_cluster(
                    folder / f"replica{number}",
                    database_url=database_url,
                    redis_url=redis_url,
                    environment=common,
                )
            )
            replicas.append(replica)
        for replica in replicas:
            replica.key = replicas[0].key
        yield replicas
