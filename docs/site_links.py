"""mkdocs hook: links to files outside docs become text, since the site does not have them."""

import re


def on_page_markdown(markdown: str, **_) -> str:
    """[figures](../experiments/clean/README.md) -> figures (`experiments/clean/README.md`)"""
    return re.sub(r"\[([^]]+)\]\(\.\./([^)#]+)(?:#[^)]*)?\)", r"\1 (`\2`)", markdown)
