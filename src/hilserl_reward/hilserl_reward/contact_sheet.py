"""A page to label frames on: an episode's frames in the browser, a click changes a label.

It is served on the loopback interface alone, and needs nothing else: no network, no packages.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

from hilserl_core.errors import UserError
from hilserl_core.labels import By, FrameLabel, Label, append_labels, read_labels
from hilserl_core.step import Episode
from hilserl_replay.bags import FOLDERS, episode_folders, read_episode
from hilserl_reward.labelling import episode_name

_HOST = "127.0.0.1"
_MOST = 1_000_000  # bytes of a request


class Sheet:
    """What the page shows of a run, and what it changes.

    Args:
        run_dir: the run's folder.

    Raises:
        UserError: it has no episode.
    """

    def __init__(self, run_dir: Path) -> None:
        self._run = run_dir
        folders = [folder for kind in FOLDERS for folder in episode_folders(run_dir, kind)]
        if not folders:
            raise UserError(f"{run_dir}: has no episodes to label: give a folder such as runs/NAME")
        self._folders = {episode_name(folder): folder for folder in folders}
        self._read: tuple[str, Episode] | None = None

    def overview(self) -> dict[str, Any]:
        """The run and its episodes, each with how many of its frames are labelled."""
        count = dict.fromkeys(self._folders, 0)
        for label in read_labels(self._run).values():
            if label.episode in count:
                count[label.episode] += 1
        episodes = [{"name": name, "labelled": number} for name, number in count.items()]
        return {"run": self._run.resolve().name, "episodes": episodes}

    def episode(self, name: str) -> dict[str, Any]:
        """An episode's outcome and frames, with their labels."""
        episode = self._episode(name)
        labels = read_labels(self._run)
        frames = []
        for step in episode.steps:
            label = labels.get((name, step.index))
            said = label.label.name if label is not None and label.label is not None else None
            by = label.by.name.lower() if label is not None else ""
            frames.append({"index": step.index, "label": said, "by": by})
        return {"name": name, "outcome": episode.outcome.name, "frames": frames}

    def picture(self, name: str, index: int) -> bytes:
        """The images of a frame above each other, as JPEG."""
        for step in self._episode(name).steps:
            if step.index == index and step.observation.images:
                buffer = io.BytesIO()
                picture = Image.fromarray(np.concatenate(step.observation.images))
                picture.save(buffer, "JPEG", quality=90)
                return buffer.getvalue()
        raise UserError(f"{name}: has no images of frame {index}")

    def set(self, name: str, indices: list[int], label: str | None) -> None:
        """Labels frames by hand; None takes a label set by hand back."""
        there = {step.index for step in self._episode(name).steps}
        if not set(indices) <= there:
            raise UserError(f"{name}: has no frame {min(set(indices) - there)}")
        if label is not None and label not in Label.__members__:
            raise UserError(f"'{label}' is no label, choose from: {', '.join(Label.__members__)}")
        value = None if label is None else Label[label]
        append_labels(self._run, [FrameLabel(name, index, value, By.HAND) for index in indices])

    def _episode(self, name: str) -> Episode:
        if name not in self._folders:
            raise UserError(f"{self._run}: has no episode '{name}'")
        if self._read is None or self._read[0] != name:
            self._read = (name, read_episode(self._folders[name]))
        return self._read[1]


class _Handler(BaseHTTPRequestHandler):
    """Serves one sheet."""

    def __init__(self, sheet: Sheet, *of_the_server: Any) -> None:
        self._sheet = sheet
        super().__init__(*of_the_server)  # Answers the request.

    def parse_request(self) -> bool:
        if not super().parse_request():
            return False
        # A page of another site whose name has been made to mean this machine.
        if self.headers.get("Host", "").rpartition(":")[0] not in (_HOST, "localhost"):
            self.send_error(HTTPStatus.FORBIDDEN)
            return False
        return True

    def do_GET(self) -> None:
        parts = urlsplit(self.path).path.strip("/").split("/")
        if parts == [""]:
            page = resources.files("hilserl_reward").joinpath("contact_sheet.html")
            self._answer(page.read_bytes(), "text/html; charset=utf-8")
        elif parts == ["episodes"]:
            self._try(lambda: self._json(self._sheet.overview()))
        elif parts[0] == "episode" and len(parts) == 3:
            self._try(lambda: self._json(self._sheet.episode("/".join(parts[1:]))))
        elif parts[0] == "picture" and len(parts) == 4 and parts[3].isdigit():
            name, index = "/".join(parts[1:3]), int(parts[3])
            self._try(lambda: self._answer(self._sheet.picture(name, index), "image/jpeg"))
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        # A page of somebody else's, open in the same browser, cannot send this type unasked.
        if self.headers.get("Content-Type") != "application/json":
            self.send_error(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
            return
        length = int(self.headers.get("Content-Length") or 0)
        if not 0 < length < _MOST:
            self.send_error(HTTPStatus.BAD_REQUEST)
            return
        self._try(lambda: self._set(self.rfile.read(length)))

    def _set(self, body: bytes) -> None:
        try:
            asked = json.loads(body)
            name, label = str(asked["episode"]), asked["label"]
            indices = [int(index) for index in asked["frames"]]
        except (ValueError, KeyError, TypeError):
            raise UserError("a label needs episode, frames and label") from None
        self._sheet.set(name, indices, label)
        self._json(self._sheet.episode(name))

    def _try(self, answer: Callable[[], None]) -> None:
        try:
            answer()
        except UserError as error:
            self.send_error(HTTPStatus.BAD_REQUEST, explain=str(error))

    def _json(self, content: dict[str, Any]) -> None:
        self._answer(json.dumps(content).encode(), "application/json")

    def _answer(self, body: bytes, kind: str) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Says nothing of requests."""


def make_server(run_dir: Path, port: int = 0) -> HTTPServer:
    """The page's server, on the loopback interface.

    Raises:
        UserError: the run has no episodes, or the port is taken.
    """
    try:
        return HTTPServer((_HOST, port), partial(_Handler, Sheet(run_dir)))
    except (OSError, OverflowError) as error:
        raise UserError(f"--port {port}: {error}: choose another, or 0 for any") from None


def serve(run_dir: Path, port: int = 0) -> None:
    """Serves the page until Ctrl-C."""
    server = make_server(run_dir, port)
    print(f"http://{_HOST}:{server.server_port}/ · Ctrl-C when done", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()
