"""Looking back: what the page asks of a run's recordings.

Bags, cameras and data sets are other packages' business, and some of those stand above this
one: their programs are called by name, as a person would in a terminal.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from hilserl_core import parameter_file
from hilserl_core.cameras import node_name, settings
from hilserl_core.errors import UserError
from hilserl_core.labels import By, FrameLabel, Label, append_labels
from hilserl_core.region import Region
from hilserl_core.step import Source

LIMIT = 60.0
"""s that a program may take."""
OUTCOMES = ("success", "failure", "timeout")
SOURCES = tuple(source.name.lower() for source in Source)
_EPISODE = re.compile(r"(episodes|evaluation)/\d{1,9}")
_CAMERA = re.compile(r"[A-Za-z0-9_]{1,64}")


@dataclass(frozen=True)
class ReviewSettings:
    """Where things are.

    Attributes:
        run: the run's folder; None where it is not known.
        strips: a folder for pictures made on the way.
        starter: what starts a package's program by name, such as ``hilserl run``.
        region_file: the cameras' parameter file, in which regions of interest are kept.
    """

    run: Path | None
    strips: Path
    starter: tuple[str, ...]
    region_file: Path


class Review:
    """Answers the page, one program at a time: the cores belong to the run."""

    def __init__(self, settings: ReviewSettings) -> None:
        self._settings = settings
        self._busy = asyncio.Lock()

    def routes(self) -> tuple[web.RouteDef, ...]:
        """What the server serves of it."""
        episode = r"/api/episodes/{kind}/{number}"
        return (
            web.get("/api/episodes", self._list),
            web.get(episode, self._detail),
            web.get(episode + "/strip.png", self._strip),
            web.post(episode, self._relabel),
            web.post("/api/labels", self._label),
            web.get("/api/region/{camera}", self._saved_region),
            web.post("/api/region", self._region),
        )

    @property
    def _run(self) -> Path:
        if self._settings.run is None:
            raise UserError("the console knows no run: start it with the parameter 'run'")
        return self._settings.run

    async def _list(self, _request: web.Request) -> web.Response:
        lines = (await self._call("hilserl_replay", "review", str(self._run))).splitlines()
        return web.json_response({"episodes": [json.loads(line) for line in lines]})

    async def _detail(self, request: web.Request) -> web.Response:
        name = _episode(request)
        words = [str(self._run), "--episode", name, "--strip", str(self._strip_file(name))]
        return web.json_response(json.loads(await self._call("hilserl_replay", "review", *words)))

    async def _strip(self, request: web.Request) -> web.Response:
        try:
            content = await asyncio.to_thread(self._strip_file(_episode(request)).read_bytes)
        except OSError:
            raise UserError("this episode has no pictures: open it anew") from None
        return web.Response(body=content, content_type="image/png")

    def _strip_file(self, name: str) -> Path:
        key = hashlib.sha256(f"{self._run.absolute()}/{name}".encode()).hexdigest()[:24]
        return self._settings.strips / f"{key}.png"

    async def _relabel(self, request: web.Request) -> web.Response:
        """Says anew who acted in an episode, how it ended, or that nobody shall learn from it."""
        name = _episode(request)
        content = await _content(request, {"outcome"}, {"source"})
        kind, _, number = name.partition("/")
        words = [str(self._run), "--episodes", str(int(number))]
        words += ["--evaluation"] if kind == "evaluation" else []
        words += _label_words(content)
        said = await self._call("hilserl_replay", "relabel", *words)
        return web.json_response({"message": said.strip().splitlines()[-1] if said else "done"})

    async def _label(self, request: web.Request) -> web.Response:
        """Labels one frame for the classifier, or takes back what a person said of it."""
        content = await _content(request, {"episode", "index", "label"})
        episode, index, label = (content[key] for key in ("episode", "index", "label"))
        if not isinstance(episode, str) or not _EPISODE.fullmatch(episode):
            raise UserError("'episode' is written as episodes/000003")
        if not (self._run / episode).is_dir():
            raise UserError(f"{self._run} has no episode {episode}")
        if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < 10**6:
            raise UserError("'index' is the number of a step")
        names = {**{each.name.lower(): each for each in Label}, "none": None}
        if not isinstance(label, str) or label not in names:
            raise UserError(f"'label' is one of {', '.join(names)}")
        made = FrameLabel(episode, index, names[label], By.HAND)
        await asyncio.to_thread(append_labels, self._run, [made])
        return web.json_response({"message": f"step {index} of {episode}: {label}"})

    async def _saved_region(self, request: web.Request) -> web.Response:
        """The region of interest that a camera's node takes from the file; all 0 where none is."""
        file, node = self._settings.region_file, node_name(_camera(request.match_info["camera"]))
        sections = await asyncio.to_thread(parameter_file.read, file) if file.exists() else {}
        region = settings(sections, node).get("region", [0, 0, 0, 0])
        return web.json_response({"region": region})

    async def _region(self, request: web.Request) -> web.Response:
        """Keeps a camera's region of interest."""
        content = await _content(request, {"camera", "region"})
        camera, numbers = _camera(content["camera"]), content["region"]
        if not isinstance(numbers, list) or not all(type(n) is int and n < 10**5 for n in numbers):
            raise UserError("'region' is a list of four whole numbers")
        region = Region.of(numbers)
        said = await self._call(
            "hilserl_camera",
            "select_roi",
            *("--file", str(self._settings.region_file)),
            *("--node", node_name(camera)),
            *("--region", str(region.x), str(region.y), str(region.width), str(region.height)),
        )
        return web.json_response({"message": said.strip()})

    async def _call(self, package: str, program: str, *words: str) -> str:
        """Runs a package's program; returns what it printed.

        Raises:
            UserError: it cannot be started, failed, or took too long; in its own words.
        """
        async with self._busy:
            return await call_program([*self._settings.starter, package, program, *words])


async def call_program(command: Sequence[str]) -> str:
    """Runs a program to its end; returns what it printed.

    Raises:
        UserError: it cannot be started, failed, or took too long.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise UserError(f"{command[0]} cannot be started: {error.strerror}") from None
    try:
        out, problems = await asyncio.wait_for(process.communicate(), LIMIT)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise UserError(f"'{' '.join(command[-4:])}' took over {LIMIT:.0f} s") from None
    if process.returncode:
        lines = problems.decode(errors="replace").strip().splitlines()
        last = lines[-1].removeprefix("error: ") if lines else "it did not say why"
        raise UserError(last)
    return out.decode(errors="replace")


def _episode(request: web.Request) -> str:
    name = f"{request.match_info['kind']}/{request.match_info['number']}"
    if not _EPISODE.fullmatch(name):
        raise UserError(f"episode '{name}': write it as episodes/000003")
    return name


def _camera(name: Any) -> str:
    if not isinstance(name, str) or not _CAMERA.fullmatch(name):
        raise UserError("'camera' is a camera's name")
    return name


def _label_words(content: dict[str, Any]) -> list[str]:
    """What ``relabel`` is told of an episode."""
    ((key, value),) = content.items()
    if key == "outcome" and value == "deleted":
        return ["--discard"]
    known = {"outcome": OUTCOMES, "source": SOURCES}[key]
    if value not in known:
        more = " and deleted" if key == "outcome" else ""
        raise UserError(f"'{key}' is one of {', '.join(known)}{more}")
    return [f"--{key}", value]


async def _content(request: web.Request, *forms: set[str]) -> dict[str, Any]:
    """A request's JSON object with exactly the keys of one of these forms."""
    try:
        content = await request.json()
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or set(content) not in forms:
        keys = " or ".join(", ".join(sorted(form)) for form in forms)
        raise UserError(f"a request is a JSON object with the keys {keys}")
    return content
