"""Delete the modules of the kubernetes client that the reconciler never imports. The image's build runs it.

The client has a module for each class of the Kubernetes API. It is imported when the class is first named, together
with the modules of the classes that it refers to. What the names in `reconciler/events.py` load is all that is needed.
"""

import ast
import sys
from importlib import import_module
from pathlib import Path

import kubernetes.client

import reconciler.events


def main() -> None:
    """Import the names of the client that the reconciler imports, and delete the modules that did not load."""
    tree = ast.parse(Path(reconciler.events.__file__).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("kubernetes"):
            for name in node.names:
                getattr(import_module(node.module), name.name)
    loaded = {module.__file__ for module in sys.modules.values() if getattr(module, "__file__", None)}
    client = Path(kubernetes.client.__file__).parent
    unused = [path for part in ("api", "models") for path in (client / part).glob("*.py") if str(path) not in loaded]
    for path in unused:
        path.unlink()
    print(f"deleted {len(unused)} modules of {client}")  # noqa: T201


if __name__ == "__main__":
    main()
