"""A contact sheet: frames of episodes, and below them joints and actions, coloured by source."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure
from matplotlib.patches import Patch
from PIL import Image

from hilserl_core.step import Episode, Source
from hilserl_replay.bags import read_episode
from hilserl_replay.filmstrip import Filmstrip, filmstrip
from hilserl_replay.layout import layout
from hilserl_replay.plots import FIRST, GOOD, SECOND, STYLE

EPISODES = 4
_FRAMES = 12
_WIDTH = 12.0  # inches
_PLOT = 1.5  # inches, height of one plot
_COLOURS = {Source.POLICY: FIRST, Source.HUMAN: SECOND, Source.OFFLINE: GOOD}


def pick(folders: Sequence[Path], count: int = EPISODES) -> list[Path]:
    """A few of a run's episodes, spread evenly from the first to the last."""
    places = np.linspace(0, len(folders) - 1, min(count, len(folders)))
    return [folders[round(place)] for place in places]


def contact_sheet(folders: Sequence[Path]) -> bytes:
    """The sheet of episodes' bags, as PNG.

    Raises:
        UserError: a bag cannot be read, or holds no steps.
    """
    episodes = [(folder, read_episode(folder), filmstrip(folder, _FRAMES)) for folder in folders]
    heights = [_height(strip) for _, _, strip in episodes]
    with plt.rc_context({**STYLE, "lines.linewidth": 1.2, "font.size": 9}):
        figure = plt.figure(figsize=(_WIDTH, sum(heights)), layout="constrained")
        parts = np.atleast_1d(figure.subfigures(len(episodes), 1, height_ratios=heights))
        for part, (folder, episode, strip) in zip(parts, episodes, strict=True):
            _draw(part, f"{folder.parent.name}/{folder.name}", episode, strip)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=120)
        plt.close(figure)
    return buffer.getvalue()


def _strip_height(strip: Filmstrip | None) -> float:
    return 0.25 if strip is None else _WIDTH * strip.height / strip.width


def _height(strip: Filmstrip | None) -> float:
    return _strip_height(strip) + 2 * _PLOT + 0.6


def _draw(part: SubFigure, name: str, episode: Episode, strip: Filmstrip | None) -> None:
    ratios = (_strip_height(strip), _PLOT, _PLOT)
    frames, joints, actions = part.subplots(3, 1, gridspec_kw={"height_ratios": ratios})
    outcome = episode.outcome.name.lower()
    part.suptitle(f"{name} · {episode.steps[0].phase.name.lower()} · {outcome}", x=0.01, ha="left")
    _draw_frames(frames, strip)
    start = episode.steps[0].observation.stamp
    times = np.array([(step.observation.stamp - start) * 1e-9 for step in episode.steps])
    names = layout(episode)
    where = names.joints or slice(0, min(8, len(names.state)))
    states = np.stack([step.observation.state[where] for step in episode.steps])
    label = "joints, rad" if names.joints else "state"
    shorter = [name.rpartition(".")[2] for name in names.state[where]]
    _draw_lines(joints, times, states, shorter, label)
    acted = episode.steps[: episode.transitions]
    if acted:
        values = np.stack([step.action for step in acted])
        held = np.concatenate([values, values[-1:]])  # until the last observation
        _draw_lines(actions, times, held, names.action, "action", step=True)
    for axes in (joints, actions):
        _shade(axes, times, episode)
    actions.set_xlabel("s")
    joints.tick_params(labelbottom=False)
    shown = sorted({step.source for step in acted})
    patches = [Patch(color=_COLOURS[s], alpha=0.25, label=s.name.lower()) for s in shown]
    part.legend(handles=patches, loc="upper right", ncols=len(patches) or 1)


def _draw_frames(axes: Axes, strip: Filmstrip | None) -> None:
    axes.set_axis_off()
    if strip is None:
        axes.text(0.0, 0.5, "no camera frames in this bag", transform=axes.transAxes)
        return
    axes.imshow(np.asarray(Image.open(io.BytesIO(strip.png))), aspect="auto")


def _draw_lines(
    axes: Axes,
    times: np.ndarray,
    values: np.ndarray,
    names: Sequence[str],
    label: str,
    step: bool = False,
) -> None:
    """One line an element of ``values`` (times, elements)."""
    colours = plt.get_cmap("tab10").colors
    for i, name in enumerate(names):
        style = "steps-post" if step else "default"
        axes.plot(times, values[:, i], color=colours[i % 10], label=name, drawstyle=style)
    axes.set_ylabel(label)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=7)


def _shade(axes: Axes, times: np.ndarray, episode: Episode) -> None:
    """Colours the time of every step by who acted on it."""
    axes.set_xlim(0, max(float(times[-1]), 1e-3))
    sources = [step.source for step in episode.steps[: episode.transitions]]
    begin = 0
    for i in range(1, len(sources) + 1):
        if i == len(sources) or sources[i] != sources[begin]:
            axes.axvspan(times[begin], times[i], color=_COLOURS[sources[begin]], alpha=0.15, lw=0)
            begin = i
