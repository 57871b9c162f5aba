"""A console without ROS: an operator who notes what is asked, and a server on a port of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
from aiohttp import ClientWebSocketResponse
from aiohttp.test_utils import TestClient, TestServer

from hilserl_core.errors import UserError
from hilserl_core.step import Event
from hilserl_teleop.console_access import Access
from hilserl_teleop.console_history import History
from hilserl_teleop.console_messages import Drive
from hilserl_teleop.console_pictures import Pictures
from hilserl_teleop.console_review import Review, ReviewSettings
from hilserl_teleop.console_server import ConsoleServer, Shown
from hilserl_teleop.console_sessions import Sessions
from hilserl_teleop.console_state import ConsoleState

SIZE = (24, 32)


class FakeOperator:
    """Notes what pages want."""

    def __init__(self) -> None:
        self.done: list[object] = []

    def drive(self, wish: Drive) -> None:
        self.done.append(wish)

    def rest(self) -> None:
        self.done.append("rest")

    def press(self, event: Event) -> None:
        self.done.append(event)

    def release_stop(self) -> None:
        self.done.append("release stop")

    @property
    def moved(self) -> list[object]:
        """Everything that could move the arm."""
        return [each for each in self.done if each not in ("rest", Event.STOP)]


def unpack(message: bytes) -> np.ndarray:
    """A grey frame for any byte; bytes that say "bad" are no frame."""
    if message == b"bad":
        raise UserError("an image's encoding is 'strange'")
    return np.full((*SIZE, 3), message[0], np.uint8)


class Console:
    """The parts of a console around a clock that the test moves."""

    def __init__(self, run: Path | None = None, starter: tuple[str, ...] = ("false",)) -> None:
        self.now = 1000.0
        self.operator = FakeOperator()
        self.state = ConsoleState(self.clock)
        self.sessions = Sessions(self.operator, self.clock)
        self.pictures = Pictures()
        self.watched: list[frozenset[str] | None] = []
        self.said: list[tuple[str, bool]] = []
        folder = run if run is not None else Path("nowhere")
        self.review = Review(ReviewSettings(run, folder, starter, folder / "cameras.yaml"))
        self.shown = Shown(
            self.state,
            self.sessions,
            self.pictures,
            History(run),
            {"device": "console"},
            self.watched.append,
            self.review.routes(),
        )

    def clock(self) -> float:
        return self.now

    def server(self, access: Access | None = None, port: int = 8080) -> ConsoleServer:
        return ConsoleServer(
            "127.0.0.1", port, access or Access(), self.shown, lambda *said: self.said.append(said)
        )


class Visitor:
    """A browser on the console, as far as the server can tell."""

    def __init__(self, client: TestClient) -> None:
        self.client = client
        self.origin = f"http://{client.host}:{client.port}"

    async def socket(self, **headers: str) -> ClientWebSocketResponse:
        return await self.client.ws_connect("/socket", headers={"Origin": self.origin, **headers})


@asynccontextmanager
async def visiting(console: Console, access: Access | None = None) -> AsyncIterator[Visitor]:
    """A visitor of a console that is being served."""
    application = console.server(access).application()
    async with TestClient(TestServer(application)) as client:
        yield Visitor(client)


def visit(console: Console, story: Callable[[Visitor], Awaitable[None]]) -> None:
    """Runs a visitor's story to its end."""

    async def told() -> None:
        async with visiting(console) as visitor:
            await asyncio.wait_for(story(visitor), 60)

    asyncio.run(told())


async def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    for _ in range(round(seconds / 0.01)):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("waited in vain")
