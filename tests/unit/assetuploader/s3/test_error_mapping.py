"""S3's error responses are mapped to errors of the store."""

import pytest

from assetuploader.errors import PreconditionFailedError, StoreUnavailableError
from assetuploader.s3.error_mapping import On404, S3ErrorResponse, to_store_error

PRECONDITION_FAILURES = [
    S3ErrorResponse(412, ""),
    S3ErrorResponse(412, "PreconditionFailed"),
    S3ErrorResponse(409, "ConditionalRequestConflict"),
]


@pytest.mark.parametrize("error_response", PRECONDITION_FAILURES, ids=str)
@pytest.mark.parametrize("on_404", On404)
def test_a_failed_precondition_is_expected_only_of_a_conditional_call(
    error_response: S3ErrorResponse, on_404: On404
) -> None:
    """A HEAD that gets 412 is a broken store: unavailable, never a lost race."""
    assert isinstance(to_store_error(error_response, on_404, is_conditional=True), PreconditionFailedError)
    assert isinstance(to_store_error(error_response, on_404, is_conditional=False), StoreUnavailableError)
