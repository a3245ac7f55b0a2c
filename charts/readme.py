"""The table of values in the chart's README, made from values.yaml (keys, defaults, comments) and its schema (types).

python charts/readme.py          writes it
python charts/readme.py --check  exits 1 if it is not what would be written
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

CHART: Final = Path(__file__).parent / "assetuploader"
BEGIN: Final = "<!-- values: made by `make chart-docs` -->"
END: Final = "<!-- end of values -->"


def described_keys(values_yaml: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Each key whose line follows a comment that starts with "# --", as its path, with the comment's text."""
    path: list[tuple[int, str]] = []
    comment = ""
    for line in values_yaml.splitlines():
        if found := re.match(r" *# -- (.*)", line):
            comment = found[1]
        elif found := re.match(r"( *)([A-Za-z0-9]+):", line):
            indent, key = len(found[1]), found[2]
            path = [(depth, name) for depth, name in path if depth < indent] + [(indent, key)]
            if comment:
                yield tuple(name for _, name in path), comment
            comment = ""


def schema_type(schema: Any, path: tuple[str, ...]) -> str:  # noqa: ANN401 - a JSON Schema
    """What the schema says of one key: its type, or its choices."""
    for name in path:
        schema = schema["properties"][name]
    if "enum" in schema:
        return " \\| ".join(schema["enum"])
    kind = schema["type"]
    return kind if isinstance(kind, str) else " \\| ".join(kind)


def table() -> str:
    """The table, as Markdown."""
    text = (CHART / "values.yaml").read_text()
    values = yaml.safe_load(text)
    schema = json.loads((CHART / "values.schema.json").read_text())
    rows = ["| key | type | default | |", "| --- | --- | --- | --- |"]
    for path, comment in described_keys(text):
        default = values
        for name in path:
            default = default[name]
        kind = schema_type(schema, path)
        rows.append(f"| `{'.'.join(path)}` | {kind} | `{json.dumps(default)}` | {comment} |")
    return "\n".join(rows)


def main() -> int:
    """Write the table into the README, or say that it is another."""
    readme = CHART / "README.md"
    old = readme.read_text()
    before, _, rest = old.partition(BEGIN)
    _, _, after = rest.partition(END)
    new = f"{before}{BEGIN}\n{table()}\n{END}{after}"
    if sys.argv[1:] == ["--check"]:
        if new != old:
            print("charts/assetuploader/README.md is out of date: run `make chart-docs`", file=sys.stderr)
        return int(new != old)
    readme.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
