"""The commands that documentation prints: code blocks of shell commands, and commands in the text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT: Final = Path(__file__).parents[2]
PROGRAMS: Final = frozenset(
    {"assetuploader", "aws", "curl", "docker", "helm", "kubectl", "make", "minikube", "skaffold"}
)
_MARKDOWN: Final = MarkdownIt("commonmark").enable("table")


@dataclass(frozen=True, slots=True)
class Command:
    """What a reader pastes at once: a code block, or one command in the text."""

    section: str
    """The heading above it."""
    text: str


def read_commands(page: str, section: str | None = None) -> list[Command]:
    """Return the commands of a page, or of one of its sections, in order. The path is relative to the project."""
    return [
        command
        for command in parse_commands((ROOT / page).read_text())
        if section is None or command.section == section
    ]


def parse_commands(markdown: str) -> Iterator[Command]:
    """Yield the commands of a text in Markdown, in order."""
    tokens = _MARKDOWN.parse(markdown)
    section = ""
    for before, token in zip([None, *tokens], tokens, strict=False):
        if before is not None and before.type == "heading_open":
            section = token.content
        elif token.type == "code_block" or (token.type == "fence" and token.info == "sh"):
            yield Command(section, token.content)
        elif token.type == "inline":
            yield from (Command(section, text) for text in _inline_commands(token))


def _inline_commands(token: Token) -> Iterator[str]:
    """Yield each command in a paragraph or a cell. One word, or two of helm or kubectl, only name a command."""
    for child in token.children or ():
        if child.type == "code_inline":
            words = child.content.split()
            if words and words[0] in PROGRAMS and len(words) > (1 if words[0] == "assetuploader" else 2):
                yield child.content


def parse_notes(notes: str) -> Iterator[str]:
    """Yield each block of commands of the chart's notes: lines with an indent of two spaces."""
    for block in re.findall(r"(?:^  .*\n?)+", notes, re.MULTILINE):
        yield "\n".join(line.removeprefix("  ") for line in block.splitlines()) + "\n"
