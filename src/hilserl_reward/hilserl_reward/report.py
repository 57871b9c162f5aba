"""The report of a classifier: figures, a confusion table, curves, and the worst frames."""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import numpy as np
from matplotlib import pyplot as plt

from hilserl_core.errors import UserError
from hilserl_core.run import write_aside
from hilserl_replay.bags import read_episode
from hilserl_reward.classifier import Classifier
from hilserl_reward.evaluation import Judged
from hilserl_reward.frames import Place

_WORST = 12  # frames shown
_COLUMNS = 6
_GAP = 6  # pixels
_INK, _FIRST, _SECOND = "#1a1c1f", "#1f6feb", "#d9730d"


@dataclass(frozen=True)
class Picture:
    """A picture with the sentence that says what is seen."""

    name: str
    caption: str
    png: bytes


def write_report(
    out: Path, classifier: Classifier, judged: Judged, notes: Mapping[str, str]
) -> Path:
    """Writes ``OUT-report/``: report.json, report.html and its pictures.

    Args:
        out: the classifier's file.
        classifier: that judged.
        judged: frames that it had not learned from.
        notes: what else the report says.

    Returns:
        The page.

    Raises:
        UserError: the folder cannot be written.
    """
    folder = out.with_name(f"{out.stem}-report")
    spec = classifier.spec
    figures: dict[str, Any] = {
        **judged.figures(),
        "success_threshold": round(spec.success, 4),
        "temperature": round(spec.temperature, 3),
        **({"failure_threshold": round(spec.failure, 4)} if spec.three else {}),
        **notes,
    }
    pictures = [_precision_recall(judged), _histogram(judged, spec.success), _worst(judged)]
    page = _page(out.stem, figures, judged, pictures)
    try:
        for picture in pictures:
            write_aside(folder / f"{picture.name}.png", picture.png)
        write_aside(folder / "report.json", (json.dumps(figures, indent=2) + "\n").encode())
        write_aside(folder / "report.html", page.encode())
    except OSError as error:
        raise UserError(f"{folder}: cannot be written: {error.strerror or error}") from None
    return folder / "report.html"


def _precision_recall(judged: Judged) -> Picture:
    precision, recall = judged.precision_recall()
    figure, axes = plt.subplots(figsize=(5.2, 3.4), layout="constrained")
    axes.step([0, *recall], [1, *precision], where="post", color=_FIRST)
    last = judged.said == len(judged.classes) - 1
    if last.any():
        at = float((judged.target[last] == len(judged.classes) - 1).mean())
        axes.plot(judged.recall, at, "o", color=_SECOND, label="threshold")
        axes.legend(loc="lower left", frameon=False)
    axes.set(xlabel="recall of success", ylabel="precision", xlim=(0, 1.02), ylim=(0, 1.05))
    caption = "Precision and recall of success at every threshold, on unseen episodes."
    return Picture("precision_recall", caption, _png(figure))


def _histogram(judged: Judged, threshold: float) -> Picture:
    figure, axes = plt.subplots(figsize=(5.2, 3.4), layout="constrained")
    success = judged.target == len(judged.classes) - 1
    bins = np.linspace(0, 1, 41).tolist()
    for chosen, colour, label in ((~success, _INK, "other"), (success, _FIRST, "success")):
        axes.hist(judged.success[chosen], bins, color=colour, alpha=0.6, label=label, log=True)
    axes.axvline(threshold, color=_SECOND, label=f"threshold {threshold:.2f}")
    axes.set(xlabel="probability of success", ylabel="frames")
    axes.legend(loc="upper center", frameon=False)
    caption = "How sure the classifier is of frames with and without success."
    return Picture("probabilities", caption, _png(figure))


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    plt.close(figure)
    return buffer.getvalue()


def _worst(judged: Judged) -> Picture:
    """The frames judged worst, with what they are and how they were judged."""
    worst = judged.worst(_WORST)
    names = [label.name.lower() for label in judged.classes]
    columns = min(_COLUMNS, len(worst))
    rows = -(-len(worst) // columns)
    tiles = [_tile(judged.frames.places[i]) for i in worst]
    height, width, _ = tiles[0].shape
    scale = width / 100
    figure, grid = plt.subplots(
        rows,
        columns,
        figsize=(columns * 1.35 * scale, rows * (1.35 * scale * height / width + 0.55)),
        layout="constrained",
        squeeze=False,
    )
    for axes in grid.ravel():
        axes.axis("off")
    for axes, tile, i in zip(grid.ravel(), tiles, worst, strict=False):
        place, wrong = judged.frames.places[i], judged.said[i] != judged.target[i]
        axes.imshow(tile)
        axes.set_title(
            f"{place.episode}:{place.index}\nis {names[judged.target[i]]}, "
            f"p(success) {judged.success[i]:.2f}",
            fontsize=8,
            color=_SECOND if wrong else _INK,
        )
    wrong = int((judged.said != judged.target).sum())
    caption = (
        f"The {len(worst)} frames that were judged worst, in orange where what was said is wrong: "
        f"{wrong} of {len(judged.target)}."
    )
    return Picture("worst_frames", caption, _png(figure))


def _tile(place: Place) -> np.ndarray:
    """A frame's images above each other, as recorded."""
    for step in read_episode(place.run / place.episode).steps:
        if step.index == place.index:
            return np.asarray(np.concatenate(step.observation.images))
    raise UserError(f"{place.run / place.episode}: frame {place.index} is gone")


def _page(name: str, figures: Mapping[str, Any], judged: Judged, pictures: list[Picture]) -> str:
    style = resources.files("hilserl_replay").joinpath("report.css").read_text()
    tiles = "".join(
        f'<div class="tile"><b>{value}</b><span>{label}</span></div>'
        for value, label in (
            (f"{100 * judged.accuracy:.2f} %", "of frames judged right"),
            (f"{100 * judged.false_positives:.2f} %", "of other frames judged a success"),
            (f"{100 * judged.recall:.1f} %", "of successes found"),
            (
                f"{len(judged.target)}",
                f"frames of {figures['episodes']} episodes unseen by their judge",
            ),
        )
    )
    shown = "".join(
        f"<figure><figcaption>{_text(picture.caption)}</figcaption>"
        f'<img alt="{_text(picture.caption)}" style="width:100%;height:auto;background:#fff" '
        f'src="data:image/png;base64,{base64.b64encode(picture.png).decode()}"></figure>'
        for picture in pictures[:-1]
    )
    worst = pictures[-1]
    rows = "".join(
        f"<tr><th>{_text(key)}</th><td>{_text(value)}</td></tr>" for key, value in figures.items()
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(name)} · reward classifier</title>\n<style>\n{style}</style>\n</head>\n"
        f'<body>\n<main>\n<h1>{_text(name)}</h1>\n<p class="muted">reward classifier</p>\n'
        f'<div class="tiles">{tiles}</div>\n<h2>Confusion</h2>\n{_confusion(judged)}\n'
        f'<h2>Curves</h2>\n<div class="plots">{shown}</div>\n<h2>Worst frames</h2>\n'
        f"<figure><figcaption>{_text(worst.caption)}</figcaption>"
        f'<img alt="{_text(worst.caption)}" style="width:100%;height:auto;background:#fff" '
        f'src="data:image/png;base64,{base64.b64encode(worst.png).decode()}"></figure>\n'
        f'<h2>Figures</h2>\n<div class="scroll"><table>{rows}</table></div>\n'
        "</main>\n</body>\n</html>\n"
    )


def _confusion(judged: Judged) -> str:
    names = [label.name.lower() for label in judged.classes]
    head = "".join(f"<th>said {name}</th>" for name in names)
    body = "".join(
        f"<tr><th>is {name}</th>" + "".join(f"<td>{n}</td>" for n in row) + "</tr>"
        for name, row in zip(names, judged.confusion, strict=True)
    )
    return f'<div class="scroll"><table><tr><th></th>{head}</tr>{body}</table></div>'


def _text(value: Any) -> str:
    return html.escape(str(value))
