"""The report as one page of HTML that needs nothing else: no network, no script."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from hilserl_replay.filmstrip import Filmstrip
from hilserl_replay.plots import Plot


@dataclass(frozen=True)
class Strip:
    """What the page shows of one evaluation episode; ``film`` is None where there is none."""

    kind: str
    caption: str
    film: Filmstrip | None


def render(
    name: str,
    figures: Mapping[str, Any],
    plots: Sequence[Plot],
    strips: Sequence[Strip],
    config: Mapping[str, Any],
) -> str:
    """The page.

    Args:
        name: of the run.
        figures: the content of ``report.json``.
        plots: in the order shown.
        strips: of a success and of a failure.
        config: the run's settings.
    """
    style = resources.files("hilserl_replay").joinpath("report.css").read_text()
    body = "\n".join(
        (
            f"<h1>{_text(name)}</h1>",
            f'<p class="muted">{_text(_subtitle(figures))}</p>',
            _tiles(figures),
            "<h2>Training</h2>",
            _plots(plots),
            "<h2>Evaluation, without help</h2>",
            *(_strip(strip) for strip in strips),
            _baselines(figures),
            "<h2>Figures</h2>",
            _figures_table(figures),
            "<h2>Settings</h2>",
            _settings(config),
        )
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(name)} · hilserl</title>\n<style>\n{style}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def percent(share: float | None, digits: int = 1) -> str:
    """A share as a person reads it."""
    return "none yet" if share is None else f"{100 * share:.{digits}f} %"


def seconds(value: float | None) -> str:
    """A time as a person reads it."""
    return "none yet" if value is None else f"{value:.1f} s"


def _text(value: Any) -> str:
    return html.escape(str(value))


def _subtitle(figures: Mapping[str, Any]) -> str:
    parts = [
        f"task {figures['task']}" if figures["task"] else "",
        f"observation: {figures['observation']}" if figures["observation"] else "",
        f"seed {figures['seed']}" if figures["seed"] is not None else "",
    ]
    return " · ".join(part for part in parts if part)


def _tile(value: str, label: str) -> str:
    return f'<div class="tile"><b>{_text(value)}</b><span>{_text(label)}</span></div>'


def _tiles(figures: Mapping[str, Any]) -> str:
    evaluation, training = figures["evaluation"], figures["training"]
    each = ", ".join(percent(rate, 0) for rate in evaluation["success_rate_of_each"])
    minutes = training["wall_s"]
    demonstrated = figures["demonstrations"]["cycle_time_s"]
    return (
        '<div class="tiles">'
        + _tile(
            percent(evaluation["success_rate"]),
            f"success in {evaluation['episodes']} unaided episodes ({each})"
            if each
            else "no evaluation yet",
        )
        + _judged_tile(evaluation)
        + _tile(
            "none yet" if minutes is None else f"{int(minutes // 60)}:{int(minutes % 60):02d} min",
            f"of training and evaluation, {training['env_steps']} training steps",
        )
        + _tile(
            percent(training["intervention_rate_last_20"]),
            "of steps driven by the operator in the last 20 training episodes",
        )
        + _tile(
            seconds(evaluation["cycle_time_s"]),
            "median time to success"
            + (f"; demonstrations {demonstrated:.1f} s" if demonstrated else ""),
        )
        + "</div>"
    )


def _judged_tile(evaluation: Mapping[str, Any]) -> str:
    """What the run's own judge made of it, where somebody knows better."""
    if evaluation["judge"] == "sim":
        return ""
    return _tile(
        percent(evaluation["judged_success_rate"]),
        f"success as the {evaluation['judge']} judged it: {evaluation['wrongly_judged_success']} "
        f"episodes wrongly called a success, {evaluation['missed_success']} missed",
    )


def _plots(plots: Sequence[Plot]) -> str:
    if not plots:
        return "<p>No training episode yet.</p>"
    figures = "".join(
        f"<figure><h3>{_text(plot.title)}</h3><figcaption>{_text(plot.caption)}</figcaption>"
        f"{plot.svg}</figure>"
        for plot in plots
    )
    return f'<div class="plots">{figures}</div>'


def _strip(strip: Strip) -> str:
    heading = f'<h3 class="{strip.kind}">{strip.kind.capitalize()}</h3>'
    caption = f"<figcaption>{_text(strip.caption)}</figcaption>"
    if strip.film is None:
        return f"<figure>{heading}{caption}</figure>"
    data = base64.b64encode(strip.film.png).decode()
    times = "".join(f"<span>{time:.1f} s</span>" for time in strip.film.times)
    rows = " above ".join(strip.film.cameras)
    return (
        f"<figure>{heading}{caption}"
        f'<div class="strip"><img src="data:image/png;base64,{data}" width="{strip.film.width}" '
        f'height="{strip.film.height}" style="height:auto" '
        f'alt="{_text(strip.kind)}: {len(strip.film.times)} frames of camera {_text(rows)}">'
        f'<div class="times">{times}</div></div></figure>'
    )


def _baselines(figures: Mapping[str, Any]) -> str:
    """Success beside that of the runs compared with; nothing where there are none."""
    if not figures["baselines"]:
        return ""
    rates = {"this run": figures["evaluation"]["success_rate"]}
    rates |= {
        name.replace("_", " "): baseline["success_rate"]
        for name, baseline in figures["baselines"].items()
    }
    rows = ((name, f"{percent(rate)} success") for name, rate in rates.items())
    return f"<h2>Beside it</h2>{_rows(iter(rows))}"


def _rows(rows: Iterator[tuple[str, str]]) -> str:
    cells = "".join(f"<tr><th>{_text(key)}</th><td>{_text(value)}</td></tr>" for key, value in rows)
    return f'<div class="scroll"><table>{cells}</table></div>'


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as one line each: ``training.wall_s``, ``212.4``."""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _flat(item, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(value, list | tuple):
        yield prefix, ", ".join(map(str, value)) or "none"
    elif isinstance(value, Mapping) or value is None:
        yield prefix, "none"
    else:
        yield prefix, str(value)


def _figures_table(figures: Mapping[str, Any]) -> str:
    return _rows(_flat(figures))


def _settings(config: Mapping[str, Any]) -> str:
    if not config:
        return "<p>The run's folder holds no config.yaml.</p>"
    arguments = config.get("arguments")
    if not isinstance(arguments, Mapping):
        return _rows(_flat(config))
    parts = [_rows(_flat(arguments))]
    for name, node in (config.get("nodes") or {}).items():
        table = _rows(_flat((node or {}).get("parameters") or {}))
        parts.append(f"<details><summary>{_text(name)}</summary>{table}</details>")
    return "".join(parts)
