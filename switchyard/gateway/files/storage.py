"""Where a gateway keeps files and batches: their records in the store, the bytes in a place of their own."""

from dataclasses import dataclass

from switchyard.gateway.files.opening import open_file_store
from switchyard.gateway.files.stored_files import FileLimits, StoredFiles
from switchyard.gateway.settings import Settings
from switchyard.settings import SettingsError
from switchyard.store.factory import open_records
from switchyard.store.records.contract import Records


@dataclass(frozen=True, kw_only=True, slots=True)
class Storage:
    """The records of files and batches, and the files."""

    records: Records
    files: StoredFiles

    async def aclose(self) -> None:
        """Close the store."""
        await self.records.aclose()


def open_storage(settings: Settings) -> Storage | None:
    """Return what the settings name, None where they name no place for files.

    Raises:
        SettingsError: the store or the place cannot be used.
    """
    if not settings.switchyard_files:
        return None
    if not settings.switchyard_store:
        raise SettingsError("SWITCHYARD_FILES needs a store to know the files by: set SWITCHYARD_STORE")
    try:
        blobs = open_file_store(settings.switchyard_files)
    except ValueError as err:
        raise SettingsError(f"SWITCHYARD_FILES: {err}") from err
    try:
        records = open_records(settings.switchyard_store)
    except ValueError as err:
        raise SettingsError(f"SWITCHYARD_STORE: {err}") from err
    limits = FileLimits(file_bytes=settings.file_bytes, tenant_bytes=settings.tenant_file_bytes)
    return Storage(records=records, files=StoredFiles(records, blobs, limits))
