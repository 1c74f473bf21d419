"""Finds pictures that are in both training and evaluation sets, even as changed copies."""

from collections.abc import Iterable
from pathlib import Path

from ...data.near_duplicates import Index
from ...data.survey import DecodedImage


def is_training(section: str) -> bool:
    """Whether a section of an option file's data sets is trained on."""
    return section.startswith("train")


class Leaks:
    """Compares the pictures of training sets with those of evaluation sets, which come first.

    Only the evaluation pictures, usually few, are kept in memory.

    Args:
        sections: of the option file's data sets.
    Attributes:
        order: the sections, in the order in which they must be read.
        possible: whether there are sets of both kinds to compare.
    """

    def __init__(self, sections: Iterable[str]):
        self.order = sorted(sections, key=is_training)
        self.possible = len(set(map(is_training, self.order))) == 2
        self._digests: dict[bytes, tuple[str, Path]] = {}
        self._index = Index()
        self._compared, self._found = 0, 0

    def find(self, section: str, place: str, image: DecodedImage) -> tuple[str, str]:
        """Compare a training picture, or keep an evaluation picture.

        Args:
            section, place: the data set's section, and its place in the option file for messages.
            image: the picture; changed copies are only found if it has features.
        Returns: an error if an evaluation picture is identical; a warning if one is similar.
        """
        if not is_training(section):
            self._digests.setdefault(image.digest, (place, image.path))
            if image.features is not None:
                self._index.add((place, image.path), image.features)
            return "", ""
        self._compared += 1
        if twin := self._digests.get(image.digest):
            self._found += 1
            other, path = twin
            same = f"{other}: {path} is the same picture as {image.path} of {section}"
            return f"{same}; take it out of one", ""
        alike = self._index.find(image.features) if image.features is not None else []
        if not alike:
            return "", ""
        self._found += 1
        other, path = alike[0].key
        like = f"{other}: {path} is like {image.path} of {section} ({alike[0]})"
        return "", f"{like}; look at both, and take copies out of {section}"

    def summary(self) -> list[str]:
        """A line on what was compared; none without pictures of both kinds."""
        if not self._compared or not self._digests:
            return []
        others = [section for section in self.order if not is_training(section)]
        found = f"{self._found} alike" if self._found else "none alike"
        return [
            f"{self._compared} pictures of training compared with {len(self._digests)} of"
            f" {', '.join(others)}: {found}"
        ]
