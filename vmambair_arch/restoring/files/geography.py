"""GeoTIFF: updates the map coordinates of pixels when a picture is resized."""

from .exif_editor import Editor
from .geometry_change import GeometryChange

SCALE, TIEPOINTS, MATRIX, RATIONAL = 33550, 33922, 34264, 50844
KEYS, DOUBLES, TEXTS = 34735, 34736, 34737
TAGS = (SCALE, TIEPOINTS, MATRIX, RATIONAL, KEYS, DOUBLES, TEXTS)
RASTER_TYPE, IS_POINT = 1025, 2  # a key, and its value if a pixel is a point


def move(editor: Editor, change: GeometryChange) -> bool:
    """Scale the first directory's tags; drops them and returns False if the pixels were turned.

    Source: OGC GeoTIFF 1.1, requirements 7.2 and 7.4 and annex B; for rational polynomials
        RPCs in GeoTIFF, geotiff.maptools.org/rpc_prop.html.
    """
    first = editor.first
    if not any(tag in first.entries for tag in TAGS):
        return True
    if change.turned:
        editor.drop(first, TAGS)
        return False
    down, across = change.scale
    # A pixel's centre, relative to the origin of coordinates.
    half = 0.5 if _is_point(editor) else 0.0

    def moved(place: float, scale: float, half: float = half) -> float:
        return (place + half) * scale - half

    scale, ties = (list(editor.numbers(first, tag)) for tag in (SCALE, TIEPOINTS))
    if len(scale) >= 2:
        editor.put(first, SCALE, [scale[0] / across, scale[1] / down, *scale[2:]])
    if ties:
        for at in range(0, len(ties) - 5, 6):
            ties[at], ties[at + 1] = moved(ties[at], across), moved(ties[at + 1], down)
        editor.put(first, TIEPOINTS, ties)
    matrix = list(editor.numbers(first, MATRIX))
    if len(matrix) == 16:
        for row in range(0, 12, 4):
            a, b = matrix[row] / across, matrix[row + 1] / down
            matrix[row + 3] += half * (a - matrix[row] + b - matrix[row + 1])
            matrix[row], matrix[row + 1] = a, b
        editor.put(first, MATRIX, matrix)
    rational = list(editor.numbers(first, RATIONAL))
    if len(rational) > 8:  # lines and samples: offsets and scales
        rational[2], rational[3] = moved(rational[2], down, 0.5), moved(rational[3], across, 0.5)
        rational[7], rational[8] = rational[7] * down, rational[8] * across
        editor.put(first, RATIONAL, rational)
    return True


def _is_point(editor: Editor) -> bool:
    keys = editor.numbers(editor.first, KEYS)
    found = {keys[at]: keys[at + 3] for at in range(4, len(keys) - 3, 4)}
    return found.get(RASTER_TYPE) == IS_POINT
