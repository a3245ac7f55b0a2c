"""What can go wrong, in the words of the domain: neither HTTP's nor S3's."""

from datetime import datetime


class AssetError(Exception):
    """The asset is not in a state that allows what was asked."""


class AssetNotFoundError(AssetError):
    """No asset has this id."""


class AssetNotUploadedError(AssetError):
    """The asset is not final yet."""

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__("the asset is not final yet")
        self.retry_after_seconds = retry_after_seconds
        """When asking again may be worth it, in whole seconds, at least 1."""


class AlreadyUploadedError(AssetError):
    """The asset is final: nothing about it changes any more."""


class UploadMismatchError(AssetError):
    """What lies in `temp/` is not what the pin names, or nothing lies there."""


class AssetExpiredError(AssetError):
    """The asset was given up: nobody marked it in time, or its pinned bytes were overwritten."""


class StoreError(Exception):
    """S3 did not do what was asked. The message says what to do about it."""

    due_at: datetime | None = None
    """When the asset that was being reconciled was due, if that was known by then."""


class StoreUnavailableError(StoreError):
    """S3 cannot be reached, is slow, asks for patience, or answered what no one understands: try again later.

    What was asked may have happened all the same.
    """


class StoreDeniedError(StoreError):
    """S3 refuses these credentials, or they may not do this."""


class StoreMisconfiguredError(StoreError):
    """No bucket of this name, no credentials, another region, or an endpoint that is none."""


class StoreUnfitError(StoreError):
    """The store does not do what the protocol stands on: using it would lose or leak assets."""


class PreconditionFailedError(Exception):
    """A conditional write found another version, no version, or a race (412, 409, and 404 on a copy).

    Never final: read again. The write may even have been one's own, when an earlier answer to it was lost.
    """
