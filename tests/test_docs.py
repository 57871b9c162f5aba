"""The documentation is whole: links lead somewhere, and what is made from sources is up to date."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
_NOT_OURS = {".venv", "build", "install", "log", "runs", ".git", ".pytest_cache"}
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)[^)]*\)")
_HIDDEN = re.compile(r"<!--.*?-->|^```.*?^```|`[^`\n]*`", re.DOTALL | re.MULTILINE)


def pages() -> list[Path]:
    return [
        path
        for path in sorted(ROOT.rglob("*.md"))
        if not _NOT_OURS & set(path.relative_to(ROOT).parts)
    ]


def shown(page: Path) -> str:
    """A page's text without comments and code."""
    return _HIDDEN.sub("", page.read_text())


def links(page: Path) -> Iterator[tuple[str, str]]:
    """File and heading that each of a page's links within the repository names."""
    for target in _LINK.findall(shown(page)):
        if not re.match(r"[a-z]+:", target):
            file, _, heading = target.partition("#")
            yield file, heading


def headings(page: Path) -> set[str]:
    """Names by which a page's headings are linked to."""
    found = re.findall(
        r"^#+ (.+)$", re.sub(r"^```.*?^```", "", page.read_text(), flags=re.S | re.M), re.M
    )
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in found}


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for file, heading in links(page):
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), f"{page.relative_to(ROOT)} links to {file}, which is not there"
        if heading and target.suffix == ".md":
            assert heading in headings(target), f"{page.relative_to(ROOT)}: no heading {heading}"


def test_every_page_is_in_the_index() -> None:
    index = {(DOCS / file).resolve() for file, _ in links(DOCS / "README.md") if file}
    missing = [str(page.relative_to(ROOT)) for page in pages() if DOCS in page.parents]
    missing = [name for name in missing if (ROOT / name).resolve() not in index]
    assert missing == ["docs/README.md"]


def reference() -> ModuleType:
    path = ROOT / "scripts" / "make_reference.py"
    spec = importlib.util.spec_from_file_location("make_reference", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_what_the_sources_say() -> None:
    made = reference()
    assert {path.name for path in made.FOLDER.iterdir()} == set(made.PAGES)
    for name, make in made.PAGES.items():
        assert (made.FOLDER / name).read_text() == make(), (
            f"docs/reference/{name} is old: run 'python scripts/make_reference.py'"
        )


def test_every_package_and_message_is_in_the_reference() -> None:
    made = reference()
    nodes = {name for _, name in made.programs() if name.endswith("_node")}
    assert nodes <= headings(made.FOLDER / "parameters.md")
    messages = {path.stem.lower() for path in (ROOT / "src/hilserl_msgs/msg").iterdir()}
    assert messages <= headings(made.FOLDER / "messages.md")
