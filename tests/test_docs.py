"""README and docs: commands parse, Python compiles, links work."""

import ast
import re
import runpy
import shlex

import pytest
import yaml

from support.pages import ROOT, blocks, lines
from vmambair_arch import cli
from vmambair_arch.commands.train import arguments as train

PAGES = [ROOT / "README.md", ROOT / "experiments/README.md", *sorted((ROOT / "docs").glob("*.md"))]


def is_python(block: str) -> bool:
    return bool(re.match(r"(from|import) \w+", block))


def parse(words: list[str]) -> None:
    """Raise SystemExit if a command does not take these arguments."""
    parser = cli.Parser(words[0])
    commands = parser.add_subparsers(required=True)
    for command in cli.COMMANDS if words[0] == "vmambair" else [train]:
        command.add(commands)
    parser.parse_args(words[1:])


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_command_parses(path):
    for line in lines(path):
        try:
            parse(shlex.split(line, comments=True))
        except SystemExit as stopped:
            assert not stopped.code, line  # 0: an option that prints and ends


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_block_of_python_compiles_and_imports_what_exists(path):
    for block in filter(is_python, blocks(path)):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("vmambair_arch"):
                module = __import__(node.module, fromlist=["*"])
                assert all(hasattr(module, alias.name) for alias in node.names)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_no_command_has_lost_its_line(path):
    text = re.sub(r"(?:^ {4}.*\n)+", "", path.read_text(), flags=re.M)
    text = re.sub(r"`[^`]*`", "", text)
    assert not re.findall(r"^(?:pip install|basicsr \w+ -opt|vmambair \w+ \S+\.\w+).*", text, re.M)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_link_within_the_project_leads_to_a_file(path):
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text()):
        assert "://" in target or (path.parent / target).exists(), target


def test_every_claim_of_the_readme_has_a_test_that_exists():
    _, _, claims = (ROOT / "README.md").read_text().partition("## What it does that others do not")
    rows = [line for line in claims.partition("\n## ")[0].splitlines() if line.startswith("| ")]
    for row in rows[2:]:
        named = re.findall(r'\]\((\S+) "(\w+)"\)', row)
        assert named and row.count("](") == len(named), row
        for path, test in named:
            assert f"\ndef {test}(" in (ROOT / path).read_text(), test


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_source_file_that_a_page_names_exists(path):
    roots = [path.parent, ROOT, ROOT / "vmambair_arch", ROOT / "vmambair_arch/networks"]
    named = re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.(?:py|js))`", path.read_text())
    assert [name for name in named if not any((root / name).exists() for root in roots)] == []


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


def test_every_page_of_the_docs_is_in_the_navigation():
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
    listed = [
        e for entry in nav for e in ([entry] if isinstance(entry, str) else sum(entry.values(), []))
    ]
    assert sorted(listed) == sorted(path.name for path in (ROOT / "docs").glob("*.md"))


def test_no_page_of_the_site_links_to_a_file_outside_it():
    hook = runpy.run_path(str(ROOT / "docs/site_links.py"))["on_page_markdown"]
    for path in (ROOT / "docs").glob("*.md"):
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", hook(path.read_text())):
            assert "://" in target or not target.startswith(".."), f"{path.name}: {target}"
    assert hook("see [a\nb](../c/d.md#e), [f](g.md)") == "see a\nb (`c/d.md`), [f](g.md)"
