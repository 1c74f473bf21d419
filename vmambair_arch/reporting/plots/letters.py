"""Letters that Matplotlib's own font lacks, such as Chinese ones, from other fonts."""

import contextlib
import functools
import logging
import warnings
from collections.abc import Iterator
from typing import IO, Any, cast

from matplotlib import rcParams
from matplotlib.figure import Figure
from matplotlib.font_manager import (
    FontProperties,
    findfont,
    findSystemFonts,
    fontManager,
    get_font,
)
from matplotlib.text import Text

BOXES = "LastResort"  # a font with a box for every letter

log = logging.getLogger("vmambair_arch")


def save(figure: Figure, file: IO[bytes], **options: Any) -> None:
    """Write a figure as ``Figure.savefig`` does, with fonts that have the letters of its texts."""
    with fonts_for(figure):
        figure.savefig(file, **options)


@contextlib.contextmanager
def fonts_for(figure: Figure) -> Iterator[None]:
    """Give every text of a figure fonts that have its letters, for what draws it in this context.

    A warning names the letters that no font of the system has.
    """
    texts = cast(list[Text], figure.findobj(Text))
    letters = {ord(letter) for text in texts for letter in text.get_text() if letter.isprintable()}
    usual = [_letters(findfont(FontProperties(family=[f]))) for f in rcParams["font.family"]]
    further = _families(frozenset(letters.difference(*usual)))
    for text in texts:
        text.set_fontfamily([*dict.fromkeys([*text.get_fontfamily(), *further])])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # the warning below says it
        yield


@functools.cache  # a training draws after every validation
def _families(letters: frozenset[int]) -> list[str]:
    """Families of installed fonts that together have the letters, as far as there are any."""
    if not letters:
        return []
    # Matplotlib's own list of fonts lacks those installed after it was made.
    fonts = {path: letters & _letters(path) for path in sorted(findSystemFonts())}
    found = []
    while letters:
        path = max(fonts, key=lambda path: len(letters & fonts[path]), default=None)
        if path is None or not letters & fonts[path]:
            names = "".join(map(chr, sorted(letters)))
            log.warning("no font here can draw %s, so there are boxes; install one that can", names)
            break
        has = fonts.pop(path)
        try:
            fontManager.addfont(path)
        except (OSError, RuntimeError, NotImplementedError):  # it has letters, but no family
            continue
        letters -= has
        found.append(get_font(path).family_name)
    return found


def _letters(path: str) -> frozenset[int]:
    """The letters of a font that Matplotlib can draw."""
    try:
        font = get_font(path)
    except (OSError, RuntimeError):  # damaged, or of a kind that FreeType does not read
        return frozenset()
    drawn = font.scalable and BOXES not in font.family_name.replace(" ", "")
    return frozenset(font.get_charmap()) if drawn else frozenset()
