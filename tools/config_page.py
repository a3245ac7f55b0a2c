"""Generate docs/configuration.md from the settings: `python -m tools.config_page > docs/configuration.md`."""

import sys
from collections.abc import Iterator
from typing import Any, Final, get_args

from pydantic.fields import FieldInfo

from assetuploader.cli.config import Config

_HEAD: Final = """\
# Configuration

The programs read these environment variables once, when they start. All mistakes are reported at once, one line each,
with exit code 78. An empty variable counts as not set. The chart's values set most of them.

This page is generated from the code that reads them (`make docs-config`).

| variable | default | range | meaning |
|---|---|---|---|
"""
_TAIL: Final = """
Credentials are found by AWS's default chain: `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, a profile, IRSA, Pod
Identity, or the instance's role.

Proxies come from `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, a CA bundle from `AWS_CA_BUNDLE` or
`REQUESTS_CA_BUNDLE`. The chart sets `ASSETUPLOADER_CRONJOB` and `ASSETUPLOADER_NAMESPACE`, so that runs post Events.
"""


def build_config_page() -> str:
    """Return the page as Markdown."""
    return _HEAD + "".join(_rows()) + _TAIL


def _rows() -> Iterator[str]:
    for field in Config.model_fields.values():
        values = _range(field.annotation, field.metadata)
        yield f"| `{field.alias}` | {_default(field)} | {values} | {field.description} |\n"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if isinstance(field.default, bool):
        return f"`{str(field.default).lower()}`"
    return "" if field.default is None else f"`{field.default}`"


def _range(annotation: Any, metadata: list[Any]) -> str:  # noqa: ANN401 -- a type
    if annotation is bool:
        return "`true`, `false`"
    minimum = next((limit.ge for limit in metadata if hasattr(limit, "ge")), None)
    maximum = next((limit.le for limit in metadata if hasattr(limit, "le")), None)
    if minimum is not None:
        return f"{minimum} to {maximum}" if maximum is not None else f"from {minimum}"
    parts = (annotation, *get_args(annotation))
    choices = [choice for part in parts for choice in get_args(part) if isinstance(choice, str)]
    return ", ".join(f"`{choice}`" for choice in choices)


if __name__ == "__main__":
    sys.stdout.write(build_config_page())
