"""What operators do with accounts besides storing them, as the handlers and the jobs see it."""

from dataclasses import dataclass

from services.account_actions import AccountActions
from services.account_tests import AccountTests
from services.draining import Draining
from services.quota_reports import QuotaReports
from services.quota_sync import QuotaSync
from services.transfer import Transfer


@dataclass(frozen=True, slots=True)
class AccountCare:
    """One object for what belongs together."""

    tests: AccountTests
    actions: AccountActions
    draining: Draining
    transfer: Transfer
    quotas: QuotaReports
    quota_sync: QuotaSync
