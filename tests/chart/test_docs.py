"""The commands and policies in docs/ work with this chart."""

import json
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from string import Template
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"
SHELL: Final = {"AWS_REGION": "eu-west-1", "BUCKET": "example-assets", "ACCOUNT": "111122223333", "TAG": "0a1b2c"}
SHELL_WITH_REGISTRY: Final = SHELL | {"REGISTRY": "registry.example.com"}


def _code(page: str) -> str:
    """Return the indented blocks of a page, without the indent."""
    lines = (DOCS / page).read_text().splitlines()
    return "\n".join(line.removeprefix("    ") for line in lines if line.startswith("    ") or not line.strip())


def _values_files(page: str) -> list[str]:
    """Return what each `cat >my-values.yaml` of a page writes."""
    found = re.findall(r"cat >my-values.yaml <<EOF\n(.*?)\nEOF", _code(page), re.DOTALL)
    return [Template(text).substitute(SHELL_WITH_REGISTRY) for text in found]


def _helm_commands(page: str) -> Iterator[list[str]]:
    """Yield the value flags of each `helm install` and `helm upgrade`."""
    joined = _code(page).replace("\\\n", " ")
    for line in joined.splitlines():
        if re.search(r"(^|&& )helm (install|upgrade) ", line):
            words = shlex.split(Template(line[line.index("helm ") :]).substitute(SHELL_WITH_REGISTRY))
            yield [word for i, word in enumerate(words) if word in {"-f", "--set"} or words[i - 1] in {"-f", "--set"}]


@pytest.mark.parametrize("page", ["eks.md", "minikube.md"])
def test_the_chart_accepts_every_install_in_the_docs(
    page: str, helm: Callable[..., Any], chart: Path, tmp_path: Path
) -> None:
    """Each helm command of a page renders with each my-values.yaml that the page writes."""
    commands = list(_helm_commands(page))
    assert len(commands) >= 2
    for number, values in enumerate(_values_files(page) or [""]):
        mine = tmp_path / f"{number}.yaml"
        mine.write_text(values)
        for flags in commands:
            words = [str(mine) if word == "my-values.yaml" else word for word in flags]
            base = [] if "-f" in words else ["-f", str(chart / "ci" / "minikube-values.yaml")]
            paths = [str(ROOT / word) if word.startswith("charts/") else word for word in words]
            done = helm("template", "assets", str(chart), *base, *paths)
            assert done.returncode == 0, f"{flags}: {done.stderr}"


def test_the_docs_name_the_service_accounts_of_the_pods(render: Callable[..., Any]) -> None:
    """The names in the roles' trust policies are the names of the pods' ServiceAccounts."""
    [pod_identity, irsa] = _values_files("eks.md")
    for text in (pod_identity, irsa):
        assert "assetuploader-service" in text
        assert "assetuploader-reconciler" in text
    accounts = {m["metadata"]["name"] for m in render("eks-pod-identity-values.yaml") if m["kind"] == "ServiceAccount"}
    assert accounts == {"assetuploader-service", "assetuploader-reconciler"}


def _allowed(policy: str) -> set[tuple[str, str]]:
    """Return the pairs of action and resource that a policy allows."""
    statements = json.loads((DOCS / "iam" / policy).read_text())["Statement"]
    return {
        (action, resource)
        for statement in statements
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
        for resource in ([statement["Resource"]] if isinstance(statement["Resource"], str) else statement["Resource"])
    }


def test_the_policies_allow_no_deletion_of_assets() -> None:
    """The service may delete nothing, the reconciler only in temp/, and no action is a wildcard."""
    service, reconciler = _allowed("service.json"), _allowed("reconciler.json")
    deletes = {pair for pair in service | reconciler if "Delete" in pair[0]}
    assert deletes == {("s3:DeleteObject", "arn:aws:s3:::BUCKET/temp/*")}
    assert not deletes & service
    assert all("*" not in action for action, _ in service | reconciler)


@pytest.mark.parametrize("path", sorted((DOCS / "iam").iterdir()), ids=lambda path: path.name)
def test_policy_files_are_valid_json(path: Path) -> None:
    """Each file parses, and the lifecycle rules delete only unused placeholders in uploaded/."""
    parsed = json.loads(path.read_text())
    assert parsed
    if path.name == "lifecycle.json":
        filters = [rule["Filter"]["And"] for rule in parsed["Rules"] if "Expiration" in rule]
        assert {each["Prefix"] for each in filters} == {"uploaded/"}
        assert {each["Tags"][0]["Value"] for each in filters} == {"pending", "expired"}
