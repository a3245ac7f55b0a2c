"""The Terraform module, as far as it can be checked without a provider: it parses, and all references exist."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from hcl2.api import loads

MODULE: Final = Path(__file__).parents[2] / "deploy" / "aws"


def blocks() -> dict[str, list[dict[str, Any]]]:
    """Return the module's blocks by kind."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(MODULE.glob("*.tf")):
        for kind, some in loads(path.read_text()).items():
            if isinstance(some, list):
                found.setdefault(kind, []).extend(some)
    return found


def names(kind: str) -> set[str]:
    """Return the declared names of a kind; for resources type and name."""
    found = set()
    for block in blocks()[kind]:
        for first, rest in block.items():
            if kind == "locals":
                found.add(first)
            elif kind == "resource":
                found |= {f"{_bare(first)}.{_bare(second)}" for second in rest}
            else:
                found.add(_bare(first))
    return found - {"__is_block__"}


def _bare(text: str) -> str:
    return text.strip('"')


def _expressions(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for each in value.values():
                yield from _expressions(each)
        case list():
            for each in value:
                yield from _expressions(each)


def test_everything_referred_to_is_declared() -> None:
    """Each variable, local and resource that an expression names is in the module, and every variable is used."""
    text = "\n".join(_expressions([*blocks()["resource"], *blocks()["locals"], *blocks()["output"]]))
    used = set(re.findall(r"\bvar\.(\w+)", text))
    assert used == names("variable")
    assert set(re.findall(r"\blocal\.(\w+)", text)) == names("locals")
    assert set(re.findall(r"\b(aws_\w+\.\w+)", text)) <= names("resource")


def test_the_policies_are_the_ones_that_are_tested() -> None:
    """Every file that the module reads is in docs/iam, and contains the placeholders that the module replaces."""
    text = (MODULE / "main.tf").read_text()
    files = re.findall(r'file\("\$\{local\.policies\}/([\w.-]+|\$\{each\.key\}\.json)"\)', text)
    assert len(files) == text.count("file(")
    policies = MODULE / ".." / ".." / "docs" / "iam"
    for name in files:
        for program in ("service", "reconciler"):
            assert (
                "BUCKET" in (policies / name.replace("${each.key}", program)).read_text()
                or "trust" in name
                or "lifecycle" in name
                or "cors" in name
            )
    assert '"900000"' in (policies / "bucket.json").read_text()


def test_the_module_takes_everything_from_the_lifecycle_rules() -> None:
    """Each member of lifecycle.json has a path that the module reads, and the module reads no other path."""
    text = (MODULE / "main.tf").read_text()
    blocks_of = dict(re.findall(r"dynamic \"(\w+)\" {\s+for_each = try\(\[rule\.value\.([\w.]+)\], \[\]\)", text))
    read = {
        f"{path}.{member}"
        for name, path in blocks_of.items()
        for member in re.findall(rf"\b{name}\.value\.(\w+)", text)
    }
    read |= set(re.findall(r"\brule\.value\.([\w.]+)", text)) - set(blocks_of.values())
    rules = json.loads((MODULE / ".." / ".." / "docs" / "iam" / "lifecycle.json").read_text())["Rules"]
    assert read == {path for rule in rules for path in _paths(rule)}


def _paths(rule: dict[str, Any]) -> Iterator[str]:
    for name, value in rule.items():
        yield from (f"{name}.{path}" for path in _paths(value)) if isinstance(value, dict) else (name,)
