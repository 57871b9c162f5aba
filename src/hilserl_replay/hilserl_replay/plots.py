"""The report's plots: drawn once, saved as PNG, and as SVG that follows the page's colours."""

from __future__ import annotations

import io
import re
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hilserl_core.run import WINDOW
from hilserl_core.step import Source
from hilserl_replay.figures import RunData, training_minutes, training_start
from hilserl_replay.summary import cycle_time, running

# Drawn in these colours, which the page replaces by its own for light and for dark.
COLOURS = {
    "#1a1c1f": "--ink",
    "#6b7078": "--muted",
    "#e3e5e8": "--grid",
    "#1f6feb": "--first",
    "#d9730d": "--second",
    "#2da44e": "--good",
    "#fefefe": "--surface",
}
INK, MUTED, GRID, FIRST, SECOND, GOOD, SURFACE = COLOURS

STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "svg.fonttype": "none",
    "svg.hashsalt": "hilserl",
    "axes.edgecolor": GRID,
    "axes.facecolor": SURFACE,
    "figure.facecolor": SURFACE,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
}


@dataclass(frozen=True)
class Plot:
    """One plot, in both forms, with the sentence that says what is seen."""

    name: str
    title: str
    caption: str
    svg: str
    png: bytes


def draw_all(data: RunData) -> list[Plot]:
    """The plots that the run has figures for."""
    if not data.training:
        return []
    return [
        _plot("learning_curve", "Success", _learning_caption(data), data, _learning_curve),
        _plot(
            "intervention_rate",
            "Interventions",
            f"Share of steps on which the operator drove; the line is the mean over {WINDOW} "
            "episodes.",
            data,
            _intervention_rate,
        ),
        _plot(
            "cycle_time",
            "Cycle time",
            f"Duration of each successful episode; the line is the median over {WINDOW} episodes.",
            data,
            _cycle_time,
        ),
    ]


def _learning_caption(data: RunData) -> str:
    text = f"Success rate over the last {WINDOW} training episodes, with and without help"
    return text + (
        "; dots are evaluations without help." if data.evaluations else "; no evaluation yet."
    )


def _plot(
    name: str, title: str, caption: str, data: RunData, draw: Callable[[Axes, RunData], None]
) -> Plot:
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
        draw(axes, data)
        axes.set_xlabel("minutes of training")
        axes.tick_params(length=0)
        axes.set_xlim(left=0)
        plot = Plot(name, title, caption, _svg(figure, f"{title}. {caption}"), _png(figure))
        plt.close(figure)
    return plot


def _learning_curve(axes: Axes, data: RunData) -> None:
    minutes = training_minutes(data)
    axes.plot(minutes, _percent(running(data.training, "success")), color=FIRST, label="with help")
    axes.plot(
        minutes, _percent(running(data.training, "unaided")), color=SECOND, label="without help"
    )
    start = training_start(data) or 0.0
    for whole, fill in ((True, GOOD), (False, "none")):
        points = [
            ((evaluation.wall_time - start) / 60, 100 * evaluation.success_rate)
            for evaluation in data.evaluations
            if evaluation.whole == whole
        ]
        if points:
            label = "evaluation" if whole else "evaluation, cut short"
            x, y = zip(*points, strict=True)
            axes.plot(x, y, "o", ms=8, mfc=fill, mec=GOOD, mew=2, label=label)
    axes.set_ylim(-3, 103)
    axes.set_ylabel("success, %")
    axes.legend(loc="lower right")


def _intervention_rate(axes: Axes, data: RunData) -> None:
    minutes = training_minutes(data)
    each = running(data.training, "intervention", 1)
    axes.plot(minutes, _percent(each), ".", color=MUTED, alpha=0.5, ms=4, label="one episode")
    axes.plot(
        minutes,
        _percent(running(data.training, "intervention")),
        color=FIRST,
        label=f"mean of {WINDOW}",
    )
    axes.set_ylim(-3, 103)
    axes.set_ylabel("steps driven by the operator, %")
    axes.legend(loc="upper right")


def _cycle_time(axes: Axes, data: RunData) -> None:
    minutes = training_minutes(data)
    won = [
        (at, e.duration, e.steps[Source.HUMAN] > 0)
        for at, e in zip(minutes, data.training, strict=True)
        if e.success
    ]
    for helped, colour, label in ((True, SECOND, "with help"), (False, FIRST, "without help")):
        points = [(at, duration) for at, duration, had in won if had == helped]
        if points:
            axes.plot(*zip(*points, strict=True), ".", color=colour, ms=5, alpha=0.6, label=label)
    axes.plot(minutes, _values(running(data.training, "cycle_time")), color=FIRST)
    demonstrated = cycle_time(data.demonstrations)
    if demonstrated:
        label = f"demonstrations {demonstrated:.1f} s"
        axes.axhline(demonstrated, color=MUTED, ls="--", lw=1.2, label=label)
    evaluated = [e.duration for v in data.reported for e in v.episodes if e.success]
    if evaluated:
        median = statistics.median(evaluated)
        axes.axhline(median, color=GOOD, ls="--", lw=1.2, label=f"evaluation {median:.1f} s")
    axes.set_ylim(bottom=0)
    axes.set_ylabel("s")
    axes.legend(loc="best", ncols=2)


def _values(values: Sequence[float | None]) -> list[float]:
    return [float("nan") if value is None else value for value in values]


def _percent(values: Sequence[float | None]) -> list[float]:
    return [100 * value for value in _values(values)]


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150)
    return buffer.getvalue()


def _svg(figure: Figure, label: str) -> str:
    """The figure as inline SVG, its colours replaced by the page's variables."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'<svg [^>]*viewBox="([^"]*)"[^>]*>', _opening(label), text, count=1)
    for colour, variable in COLOURS.items():
        text = text.replace(colour, f"var({variable})")
    # Several figures share a page, in which an identifier must be one; those of clip paths
    # and markers are made from their content and may stay.
    return re.sub(r' id="\w+_\d+"', "", text)


def _opening(label: str) -> Callable[[re.Match[str]], str]:
    def opening(match: re.Match[str]) -> str:
        escaped = label.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'viewBox="{match.group(1)}" role="img" aria-label="{escaped}">'
        )

    return opening
