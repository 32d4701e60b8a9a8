"""Plots as inline SVG: bars with intervals, quality against cost, and curves; they follow the page's theme."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, isfinite, log10

_WIDTH = 720
_RIGHT = 90
_ROW = 26
_HEIGHT = 320


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar. `value` None is drawn as the words of `note` (why it is unmeasured), never as zero."""

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Point:
    """One labelled point; `low` and `high` are an interval of `y`."""

    label: str
    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """One curve: `points` of (x, y), with a band of (x, low, high) where there is one."""

    label: str
    points: Sequence[tuple[float, float]]
    band: Sequence[tuple[float, float, float]] = ()


@dataclass(frozen=True, slots=True)
class _Axis:
    """A linear map from values to pixels, with round ticks."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        step = _round_step((self.high - self.low) / 5)
        first = ceil(self.low / step - 1e-9)
        return [round(i * step, 10) for i in range(first, floor(self.high / step + 1e-9) + 1)]


def bars(title: str, rows: Sequence[Bar], *, low: float = 0.0, high: float | None = None) -> str:
    """Horizontal bars from `low` to `high` (default: the largest end), with whiskers for intervals."""
    left = 20 + 7 * max((len(row.label) for row in rows), default=0)
    ends = [end for row in rows for end in (row.value, row.high) if end is not None]
    axis = _axis(low, high if high is not None else max(ends, default=1.0), min(left, 320), _WIDTH - _RIGHT)
    bottom = 10 + _ROW * len(rows)
    parts = [_vertical(axis, tick, bottom) for tick in axis.ticks()]
    for i, row in enumerate(rows):
        y = 10 + _ROW * i
        parts.append(_text(axis.start - 8, y + 16, row.label, anchor="end"))
        if row.value is None:
            parts.append(_text(axis.start + 6, y + 16, row.note or "unmeasured", soft=True))
            continue
        width = max(0.0, axis.at(row.value) - axis.start)
        parts.append(f'<rect class="mark" x="{axis.start:.1f}" y="{y + 4}" width="{width:.1f}" height="16" rx="2"/>')
        end = axis.at(row.value)
        if row.low is not None and row.high is not None:
            parts.append(_range(axis.at(row.low), y + 12, axis.at(row.high), y + 12))
            end = max(end, axis.at(row.high))
        parts.append(_text(end + 6, y + 16, row.note or _number(row.value)))
    return _svg(title, bottom + 24, parts)


def scatter(title: str, points: Sequence[Point], *, x_label: str, y_label: str) -> str:
    """Points with their labels, such as quality (y) against cost (x)."""
    ends = [end for p in points for end in (p.y, p.low, p.high) if end is not None]
    x = _axis(min([0.0, *(p.x for p in points)]), max((p.x for p in points), default=1.0), 60, _WIDTH - _RIGHT)
    y = _axis(min([0.0, *ends]), max(ends, default=1.0), _HEIGHT - 46, 12)
    parts = _frame(x, y, x_label, y_label)
    for point in points:
        cx, cy = x.at(point.x), y.at(point.y)
        if point.low is not None and point.high is not None:
            parts.append(_range(cx, y.at(point.low), cx, y.at(point.high)))
        parts.append(f'<circle class="mark" cx="{cx:.1f}" cy="{cy:.1f}" r="5"/>')
        parts.append(_text(cx + 9, cy - 6, point.label))
    return _svg(title, _HEIGHT, parts)


def lines(title: str, series: Sequence[Series], *, x_label: str, y_label: str) -> str:
    """Curves over a common axis, each named at its end; a band is drawn pale beneath its curve."""
    xs = [x for s in series for x, _ in s.points]
    ys = [y for s in series for _, y in s.points] + [end for s in series for _, low, up in s.band for end in (low, up)]
    x = _axis(min(xs, default=0.0), max(xs, default=1.0), 60, _WIDTH - _RIGHT - 40)
    y = _axis(min([0.0, *ys]), max(ys, default=1.0), _HEIGHT - 46, 12)
    parts = _frame(x, y, x_label, y_label)
    for one in series:
        if one.band:
            outline = [(a, high) for a, _, high in one.band] + [(a, low) for a, low, _ in reversed(one.band)]
            corners = " ".join(f"{x.at(a):.1f},{y.at(b):.1f}" for a, b in outline)
            parts.append(f'<polygon class="mark" opacity="0.18" points="{corners}"/>')
        path = " ".join(f"{x.at(a):.1f},{y.at(b):.1f}" for a, b in one.points)
        parts.append(f'<polyline class="path" points="{path}"/>')
        if one.points:
            a, b = one.points[-1]
            parts.append(_text(x.at(a) + 6, y.at(b) + 4, one.label))
    return _svg(title, _HEIGHT, parts)


def _axis(low: float, high: float, start: float, end: float) -> _Axis:
    if not (isfinite(low) and isfinite(high)):
        raise ValueError(f"a plot needs finite values, not {low} to {high}")
    return _Axis(low, high if high - low > 1e-9 * max(1.0, abs(low)) else low + 1.0, start, end)


def _round_step(rough: float) -> float:
    """The next of 1, 2 or 5 times a power of ten."""
    power = 10.0 ** floor(log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))


def _frame(x: _Axis, y: _Axis, x_label: str, y_label: str) -> list[str]:
    parts = [_vertical(x, tick, y.start) for tick in x.ticks()]
    for tick in y.ticks():
        parts.append(f'<line class="grid" x1="{x.start}" x2="{x.end}" y1="{y.at(tick):.1f}" y2="{y.at(tick):.1f}"/>')
        parts.append(_text(x.start - 6, y.at(tick) + 4, _number(tick), anchor="end", soft=True))
    parts.append(_text((x.start + x.end) / 2, _HEIGHT - 6, x_label, anchor="middle", soft=True))
    parts.append(_text(4, 12, y_label, soft=True))
    return parts


def _vertical(axis: _Axis, tick: float, bottom: float) -> str:
    line = f'<line class="grid" x1="{axis.at(tick):.1f}" x2="{axis.at(tick):.1f}" y1="10" y2="{bottom}"/>'
    return line + _text(axis.at(tick), bottom + 16, _number(tick), anchor="middle", soft=True)


def _range(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="range" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, words: str, *, anchor: str = "start", soft: bool = False) -> str:
    kind = ' class="soft"' if soft else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{kind}>{escape(words)}</text>'


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def _svg(title: str, height: float, parts: Sequence[str]) -> str:
    name = escape(title, quote=True)
    size = f'viewBox="0 0 {_WIDTH} {height:.0f}"'
    return f'<svg {size} role="img" aria-label="{name}"><title>{name}</title>{"".join(parts)}</svg>'
