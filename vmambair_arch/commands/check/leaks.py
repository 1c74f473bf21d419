"""Pictures that are both trained on and measured with, whatever became of them on the way."""

from collections.abc import Iterable
from pathlib import Path

from ...data.likeness import Index
from ...data.survey import Look


def is_training(section: str) -> bool:
    """Whether a section of an option file's data sets is trained on."""
    return section.startswith("train")


class Leaks:
    """Compares the pictures of training sets with those of the others, which come first.

    Only the pictures that are measured with, commonly few, are kept.

    Args:
        sections: of the option file. Leaks take sections of both kinds.
    Attributes:
        order: the sections, in the order in which they are to be looked at.
        possible: whether there is anything to compare.
    """

    def __init__(self, sections: Iterable[str]):
        self.order = sorted(sections, key=is_training)
        self.possible = len(set(map(is_training, self.order))) == 2
        self._digests: dict[bytes, tuple[str, Path]] = {}
        self._index = Index()

    def find(self, section: str, place: str, look: Look) -> tuple[str, str]:
        """Compare a picture, or keep it.

        Args:
            section, place: where the option file names its data set; the name is for messages.
            look: at the picture; with its sight, or no copies are found.
        Returns: what is wrong if it is the same as one that is measured with; what to warn of if
            it is like one.
        """
        if not is_training(section):
            self._digests.setdefault(look.digest, (place, look.path))
            if look.sight is not None:
                self._index.add((place, look.path), look.sight)
            return "", ""
        if twin := self._digests.get(look.digest):
            other, path = twin
            same = f"{other}: {path} is the same picture as {look.path} of {section}"
            return f"{same}; take it out of one", ""
        alike = self._index.find(look.sight) if look.sight is not None else []
        if not alike:
            return "", ""
        other, path = alike[0].key
        like = f"{other}: {path} is like {look.path} of {section} ({alike[0]})"
        return "", f"{like}; look at both, and take copies out of {section}"
