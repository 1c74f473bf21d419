"""The tables of a report as HTML: means over the images, and each image by each metric."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from .scenes import Metric


@dataclass(frozen=True)
class Row:
    """An image's name, its values by method and metric's name, and whether it has pictures."""

    name: str
    values: Mapping[tuple[str, str], float | None]
    shown: bool


def means(methods: Sequence[str], metrics: Sequence[Metric], rows: Sequence[Row]) -> str:
    """A row per method, with the mean of each metric over the images that have a value.

    A mean over fewer images than another method's is not comparable: it says so and has no rank.
    """
    columns = [_means_of(metric, methods, rows) for metric in metrics]
    body = "".join(
        f'<tr><th scope="row">{escape(method)}</th>{"".join(cells)}</tr>\n'
        for method, *cells in zip(methods, *columns, strict=True)
    )
    heads = _head("Method") + "".join(_head(metric.label, metric) for metric in metrics)
    return _table('class="means"', f"Means over {len(rows)} images", heads, body)


def _means_of(metric: Metric, methods: Sequence[str], rows: Sequence[Row]) -> list[str]:
    """A cell per method."""
    known = [
        [value for row in rows if (value := row.values[method, metric.name]) is not None]
        for method in methods
    ]
    most = max(map(len, known))
    averages = [statistics.fmean(values) if values else None for values in known]
    comparable = [
        mean if len(values) == most else None for mean, values in zip(averages, known, strict=True)
    ]
    asides = [
        f" <small>of {len(values)}</small>" if 0 < len(values) < len(rows) else ""
        for values in known
    ]
    return [
        _cell(mean, metric, rank, aside)
        for mean, rank, aside in zip(averages, ranks(comparable, metric), asides, strict=True)
    ]


def scores(methods: Sequence[str], metric: Metric, rows: Sequence[Row]) -> str:
    """A row per image, with the value of each method by one metric."""
    body = ""
    for index, row in enumerate(rows):
        values = [row.values[method, metric.name] for method in methods]
        marked = zip(values, ranks(values, metric), strict=True)
        name = escape(row.name)
        if row.shown:
            name = f'<button type="button" data-scene="{index}">{name}</button>'
        cells = "".join(_cell(v, metric, rank) for v, rank in marked)
        body += f'<tr><th scope="row">{name}</th>{cells}</tr>\n'
    heads = _head("Image") + "".join(_head(method) for method in methods)
    attributes = f'class="scores" data-metric="{escape(metric.name)}"'
    return _table(attributes, f"{metric.label} of each image", heads, body)


def ranks(values: Sequence[float | None], metric: Metric) -> list[int | None]:
    """1 for the best, 2 for the second, None for the others; what looks equal is equal."""
    shown = [None if value is None else round(value, metric.decimals) for value in values]
    best_first = sorted({v for v in shown if v is not None}, reverse=metric.higher_is_better)
    places = {value: rank for rank, value in enumerate(best_first[:2], start=1)}
    return [None if value is None else places.get(value) for value in shown]


def _table(attributes: str, caption: str, heads: str, body: str) -> str:
    return (
        f'<div class="scrolled"><table {attributes}><caption>{escape(caption)}</caption>\n'
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}</tbody></table></div>\n"
    )


def _head(label: str, metric: Metric | None = None) -> str:
    """A head that sorts; an arrow says which way a metric is better."""
    better = ""
    if metric:
        word, arrow = ("higher", "↑") if metric.higher_is_better else ("lower", "↓")
        better = f' <span title="{word} is better">{arrow}</span>'
    button = f'<button type="button">{escape(label)}{better}</button>'
    return f'<th scope="col" aria-sort="none">{button}</th>'


def _cell(value: float | None, metric: Metric, rank: int | None, aside: str = "") -> str:
    """A value; the best is bold and the second underlined, as in papers."""
    if value is None:
        return '<td data-value="">–</td>'
    text = metric.format(value)
    text = {1: f"<b>{text}</b>", 2: f"<u>{text}</u>"}.get(rank or 0, text)
    number = str(value).replace("inf", "Infinity")  # as JavaScript reads it
    return f'<td data-value="{number}">{text}{aside}</td>'
