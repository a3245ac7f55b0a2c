"""The programs whose permissions the doctor tries."""

from enum import StrEnum


class Program(StrEnum):
    """Whose permissions are tried."""

    SERVICE = "service"
    RECONCILER = "reconciler"
