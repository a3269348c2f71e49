"""Opens the durable stores: one database, and a repository for each kind of thing."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from auth.vault import Vault
from models.clock import SystemClock
from models.errors import Conflict
from models.ports import Clock
from repositories.base import (
    AccountRepository,
    AttemptRepository,
    CursorRepository,
    EgressRepository,
    EventRepository,
    JobRepository,
    KeyRepository,
    OAuthFlowRepository,
    ProviderRepository,
    QuotaRepository,
    RestRepository,
    RevisionRepository,
    StatsRepository,
)
from repositories.sql.accounts import SqlAccounts
from repositories.sql.attempts import SqlAttempts
from repositories.sql.cursors import SqlCursors
from repositories.sql.egress import SqlEgress
from repositories.sql.engine import DEFAULT_LIMITS, Database, Limits, ping
from repositories.sql.events import SqlEvents
from repositories.sql.jobs import SqlJobs
from repositories.sql.keys import SqlKeys
from repositories.sql.migrate import upgrade
from repositories.sql.oauth_flows import SqlOAuthFlows
from repositories.sql.proof import check_vault
from repositories.sql.providers import SqlProviders
from repositories.sql.quotas import SqlQuotas
from repositories.sql.rests import SqlRests
from repositories.sql.revisions import SqlRevisions
from repositories.sql.schema import check_schema
from repositories.sql.stats import SqlStats


@dataclass(frozen=True, slots=True)
class Repositories:
    """Everything that lasts."""

    accounts: AccountRepository
    egress: EgressRepository
    keys: KeyRepository
    providers: ProviderRepository
    revisions: RevisionRepository
    stats: StatsRepository
    attempts: AttemptRepository
    events: EventRepository
    cursors: CursorRepository
    oauth_flows: OAuthFlowRepository
    quotas: QuotaRepository
    rests: RestRepository
    jobs: JobRepository
    db: Database
    vault: Vault
    clock: Clock

    async def check(self) -> None:
        """Return when the database can be worked with.

        Raises StorageUnavailable while it is away or lacks its schema, and VaultError when it was
        written with another master key: then nothing may start. Waiting is the caller's decision.
        """
        await self.db.read(check_schema)
        now = self.clock.now()
        try:
            await self.db.run(lambda connection: check_vault(connection, self.vault, now))
        except Conflict:  # another process wrote the proof at this moment
            await self.db.run(lambda connection: check_vault(connection, self.vault, now))

    async def ping(self) -> None:
        """Return when the database answers. Raises StorageUnavailable."""
        await self.db.read(ping)


@asynccontextmanager
async def open_repositories(
    database_url: str,
    vault: Vault,
    *,
    limits: Limits = DEFAULT_LIMITS,
    clock: Clock | None = None,
    keeps_attempts: bool = True,
) -> AsyncGenerator[Repositories, None]:
    """Yield the repositories of one database; running transactions end before it is left.

    Connects at first use, so a database that is away does not keep a gateway from opening: see
    `Repositories.check`. A file or server is migrated by `migrate` beforehand; one in memory here.
    """
    clock = SystemClock() if clock is None else clock
    db = Database(database_url, limits)
    try:
        if db.is_in_memory:
            await db.run(upgrade)
        yield Repositories(
            accounts=SqlAccounts(db, vault, clock),
            egress=SqlEgress(db, vault, clock),
            keys=SqlKeys(db, clock),
            providers=SqlProviders(db, clock),
            revisions=SqlRevisions(db),
            stats=SqlStats(db, keeps_attempts=keeps_attempts),
            attempts=SqlAttempts(db),
            events=SqlEvents(db),
            cursors=SqlCursors(db),
            oauth_flows=SqlOAuthFlows(db, vault),
            quotas=SqlQuotas(db),
            rests=SqlRests(db),
            jobs=SqlJobs(db),
            db=db,
            vault=vault,
            clock=clock,
        )
    finally:
        await db.aclose()
