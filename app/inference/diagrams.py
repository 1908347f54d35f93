"""Pictures of an evaluation for people, as SVG that needs nothing else: no font, script or style from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path

from app.domain.evaluation import Evaluation
from app.domain.genres import GENRES
from app.domain.reliability import ReliabilityBin

_CELL, _LABEL, _MARGIN = 34, 210, 12
_PLOT = 320
_STYLE = "text{font:12px sans-serif;fill:currentColor}"


def write_diagrams(evaluation: Evaluation, folder: Path) -> None:
    (folder / "confusion_matrix.svg").write_text(confusion_matrix(evaluation))
    (folder / "reliability.svg").write_text(reliability_diagram(evaluation))


def _svg(width: int, height: int, title: str, parts: Iterator[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">'
    return f"{head}<title>{escape(title)}</title><style>{_STYLE}</style>{''.join(parts)}</svg>\n"


def _text(x: float, y: float, words: str, *, anchor: str = "middle", turned: bool = False) -> str:
    turn = f' transform="rotate(-60 {x:.0f} {y:.0f})"' if turned else ""
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}"{turn}>{escape(words)}</text>'


def confusion_matrix(evaluation: Evaluation) -> str:
    """A row for each true genre, a column for each answer; the darker, the larger its share of the row."""
    side = _LABEL + len(GENRES) * _CELL + _MARGIN
    return _svg(side, side, "Confusion matrix: true genre by row, answer by column", _cells(evaluation))


def _cells(evaluation: Evaluation) -> Iterator[str]:
    for genre, row in zip(GENRES, evaluation.confusion, strict=True):
        middle = _LABEL + (genre.index + 0.5) * _CELL
        yield _text(_LABEL - 8, middle + 4, genre.name, anchor="end")
        yield _text(middle + 4, _LABEL - 8, genre.name, anchor="start", turned=True)
        for answer, count in enumerate(row):
            yield _cell(_LABEL + answer * _CELL, _LABEL + genre.index * _CELL, count, sum(row))


def _cell(x: int, y: int, count: int, of: int) -> str:
    opacity = count / of if of else 0
    box = f'<rect x="{x}" y="{y}" width="{_CELL}" height="{_CELL}" stroke="#8888" fill="#2563eb" fill-opacity="{opacity:.2f}"/>'
    return box + (_text(x + _CELL / 2, y + _CELL / 2 + 4, str(count)) if count else "")


def reliability_diagram(evaluation: Evaluation) -> str:
    """How often answers of each probability were right; on the diagonal, 0.8 means 80 %."""
    side = _PLOT + 2 * _LABEL // 3
    title = f"Reliability: expected calibration error {evaluation.calibration_error:.3f}"
    return _svg(side, side, title, _plot(evaluation.reliability, _LABEL // 3))


def _plot(bins: list[ReliabilityBin], edge: int) -> Iterator[str]:
    yield f'<rect x="{edge}" y="{edge}" width="{_PLOT}" height="{_PLOT}" fill="none" stroke="#888"/>'
    yield f'<path d="M{edge} {edge + _PLOT}L{edge + _PLOT} {edge}" stroke="#888" stroke-dasharray="4"/>'
    for found in bins:
        height = found.accuracy * _PLOT
        x, width = edge + found.lower * _PLOT, (found.upper - found.lower) * _PLOT
        yield f'<rect x="{x:.1f}" y="{edge + _PLOT - height:.1f}" width="{width:.1f}" height="{height:.1f}" fill="#2563eb"/>'
        if found.recordings:
            yield _text(x + width / 2, edge + _PLOT - height - 4, str(found.recordings))
    yield _text(edge + _PLOT / 2, edge + _PLOT + 36, "probability of the answer")
    yield from (_text(edge + share * _PLOT, edge + _PLOT + 16, f"{share:.1f}") for share in (0.0, 0.5, 1.0))
    yield from (
        _text(edge - 8, edge + (1 - share) * _PLOT + 4, f"{share:.0%}", anchor="end") for share in (0.0, 0.5, 1.0)
    )
