"""What is in the ledger for no tenant but for the platform itself."""

from switchyard.store.ledger import Ledger

OWNER = "(platform)"  # no tenant has such a name


async def is_first(ledger: Ledger, deed: str) -> bool:
    """Return whether nobody has claimed ``deed`` before, in any process that shares the store; remembered for a day.

    Raises:
        StoreError: the store does not respond.
    """
    return await ledger.settle(OWNER, deed, (), None) is not None
