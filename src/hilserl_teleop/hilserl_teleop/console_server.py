"""The console's web server: one page, one web socket, and what the page asks for beside it.

aiohttp runs in a thread of its own. What arrives from ROS it reads from the shared model; what
a page wants goes to the ``Operator``, which must be safe to call from that thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from hilserl_teleop.console_access import Access
from hilserl_teleop.console_history import History
from hilserl_teleop.console_messages import MAX_BYTES
from hilserl_teleop.console_pages import guard, page_routes, shown_address
from hilserl_teleop.console_pictures import Picture, Pictures, pack
from hilserl_teleop.console_sessions import REFUSALS, Refused, Session, Sessions
from hilserl_teleop.console_state import ConsoleState

PERIOD = 0.1
"""s between two looks that a page is given."""
HEARTBEAT = 5.0
"""s after which a page that does not answer is gone."""
UNSEEN = 2
"""Picture messages under way to a page before the next are left out."""
RETRY = 5.0
"""s between two attempts to get a port that is in use."""
BEHIND = 2.0
"""s of left out pictures after which a page is told that it does not keep up."""
SLOWLY = 10
"""Looks between two at which what changes slowly is shown, and the run's history is read."""

Watch = Callable[[frozenset[str] | None], None]


@dataclass(frozen=True)
class Shown:
    """What the pages are shown, and what answers them.

    Attributes:
        setup: what a page needs once: keys, arm, cameras; ready for JSON.
        watch: is told which cameras somebody looks at; None: nobody looks at all.
        routes: more of the server's own, such as the review's.
    """

    state: ConsoleState
    sessions: Sessions
    pictures: Pictures
    history: History
    setup: dict[str, Any]
    watch: Watch
    routes: tuple[web.RouteDef, ...] = ()


class _Outbox:
    """What a page is to be sent next; the newest replaces what was not sent in time."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.state = ""
        self.refusal = ""
        self.pictures: list[Picture] = []
        self.curves = ""
        self.curves_version = -1
        self.pictured: dict[str, int] = {}
        self.behind_since: float | None = None
        self.changed = asyncio.Event()


class ConsoleServer:
    """Serves the console until closed.

    Args:
        host, port: where to listen.
        access: who may come in.
        shown: what there is to see.
        say: is told the address, or that the port is in use; (text, whether it is a warning).
    """

    def __init__(
        self,
        host: str,
        port: int,
        access: Access,
        shown: Shown,
        say: Callable[[str, bool], None],
    ) -> None:
        self._host, self._port = host, port
        self._access, self._shown, self._say = access, shown, say
        self._outboxes: dict[int, _Outbox] = {}
        self._watched: frozenset[str] | None = None
        self._looks = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="console", daemon=True)

    # -- life

    def start(self) -> None:
        """Listens, in a thread of its own."""
        self._thread.start()

    def close(self) -> None:
        """Ends the connections and the thread."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended already
                self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(3.0)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        runner = web.AppRunner(self.application(), access_log=None)
        await runner.setup()
        try:
            if await self._listen(runner):
                await self._stop.wait()
        finally:
            await runner.cleanup()

    async def _listen(self, runner: web.AppRunner) -> bool:
        """Gets the port, however long it takes; False where the end comes first."""
        told = False
        while not self._stop.is_set():
            site = web.TCPSite(runner, self._host, self._port, reuse_address=True)
            try:
                await site.start()
            except OSError as error:
                await site.stop()
                if not told:
                    self._say(
                        f"no console: port {self._port} of {self._host} cannot be had "
                        f"({error.strerror or error}); the run goes on, and this is tried again. "
                        "Another port: console_port:=8081",
                        True,
                    )
                    told = True
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), RETRY)
                continue
            self._say(f"console: {shown_address(self._host, self._port, self._access)}", False)
            return True
        return False

    def application(self) -> web.Application:
        """The aiohttp application, without a port."""
        app = web.Application(
            middlewares=[guard(self._access, self._port)], client_max_size=16 * MAX_BYTES
        )
        app.add_routes([*page_routes(self._access, self._port), *self._shown.routes])
        app.router.add_get("/api/setup", self._setup)
        app.router.add_get("/socket", self._socket)
        app.cleanup_ctx.append(self._looking)
        return app

    async def _setup(self, _request: web.Request) -> web.Response:
        return web.json_response(self._shown.setup)

    async def _looking(self, _app: web.Application) -> Any:
        """Keeps the looks going while the application runs."""
        task = asyncio.create_task(self._look_again())
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    # -- the web socket

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(
            heartbeat=HEARTBEAT, max_msg_size=4 * MAX_BYTES, compress=False
        )
        await socket.prepare(request)
        try:
            session = self._shown.sessions.join(request.remote or "somewhere")
        except Refused as error:
            await socket.close(code=WSCloseCode.TRY_AGAIN_LATER, message=str(error).encode())
            return socket
        outbox = self._outboxes[session.number] = _Outbox(session)
        sender = asyncio.create_task(self._send(socket, outbox))
        try:
            await self._hear(socket, outbox)
        finally:
            sender.cancel()
            self._outboxes.pop(session.number, None)
            self._shown.sessions.leave(session)
            self._tell_who_watches()
        return socket

    async def _hear(self, socket: web.WebSocketResponse, outbox: _Outbox) -> None:
        """Takes a page's messages until it goes, or is sent away."""
        self._tell_who_watches()
        sessions, session = self._shown.sessions, outbox.session
        async for message in socket:
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                continue
            reason = sessions.hear(session, message.data)
            if reason:
                outbox.refusal = reason
                outbox.changed.set()
            if session.refused > REFUSALS:
                await socket.close(
                    code=WSCloseCode.POLICY_VIOLATION, message=b"too many refused messages"
                )
                return
            if session.cameras != outbox.pictured.keys():
                outbox.pictured = {name: outbox.pictured.get(name, 0) for name in session.cameras}
                self._tell_who_watches()

    async def _send(self, socket: web.WebSocketResponse, outbox: _Outbox) -> None:
        """Sends a page what is newest, as fast as it takes it; none waits for another."""
        session = outbox.session
        with contextlib.suppress(ConnectionError):
            while True:
                await outbox.changed.wait()
                outbox.changed.clear()
                for part in ("refusal", "curves", "state"):
                    text = getattr(outbox, part)
                    setattr(outbox, part, "")
                    if text:
                        await socket.send_str(_packed(part, text))
                pictures, outbox.pictures = outbox.pictures, []
                if not pictures:
                    continue
                if session.sent - session.seen >= UNSEEN:
                    if outbox.behind_since is None:
                        outbox.behind_since = self._shown.sessions.clock()
                    continue
                outbox.behind_since = None
                session.sent += 1
                for picture in pictures:
                    outbox.pictured[picture.camera] = picture.number
                await socket.send_bytes(pack(session.sent, pictures))

    # -- what the pages are sent

    async def _look_again(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due = max(due + PERIOD, loop.time())
            await asyncio.sleep(due - loop.time())
            await self._look()

    async def _look(self) -> None:
        """Puts what is newest into every page's outbox."""
        shown = self._shown
        shown.sessions.mux_says(shown.state.mine)
        self._looks += 1
        slowly = self._looks % SLOWLY == 1
        if slowly:
            await asyncio.to_thread(shown.history.refresh)
            rate = shown.state.updates_per_s
            if rate is not None:
                shown.history.pace(self._looks * PERIOD, rate)
        if not self._outboxes:
            return
        snapshot = shown.state.snapshot(slowly)
        snapshot["problems"] = list(shown.pictures.problems.values())
        common = json.dumps(snapshot)[:-1]
        pictures = await self._newest_pictures()
        for outbox in list(self._outboxes.values()):
            outbox.state = f'{common}, "page": {json.dumps(self._page(outbox))}}}'
            outbox.pictures = [
                p for p in pictures if outbox.pictured.get(p.camera, p.number) < p.number
            ]
            if outbox.curves_version != shown.history.version:
                outbox.curves_version = shown.history.version
                outbox.curves = json.dumps(shown.history.curves())
            outbox.changed.set()

    async def _newest_pictures(self) -> list[Picture]:
        """Of every camera that somebody looks at; made in another thread, for big frames."""
        wanted, newest = sorted(self._shown.sessions.cameras()), self._shown.pictures.newest
        if not wanted:
            return []
        found = await asyncio.to_thread(lambda: [newest(name) for name in wanted])
        return [picture for picture in found if picture is not None]

    def _page(self, outbox: _Outbox) -> dict[str, Any]:
        """What concerns one page: who it is, who drives, and whether it keeps up."""
        sessions, since = self._shown.sessions, outbox.behind_since
        driver, lost = sessions.driver, sessions.lost_at
        return {
            "you": outbox.session.number,
            "pages": len(sessions.pages),
            "driver": driver.number if driver else None,
            "driver_address": driver.address if driver else "",
            "lost": round(sessions.clock() - lost, 1) if lost is not None else None,
            "behind": since is not None and sessions.clock() - since > BEHIND,
        }

    def _tell_who_watches(self) -> None:
        watched = self._shown.sessions.cameras() if self._outboxes else None
        if watched != self._watched:
            for camera in (self._watched or frozenset()) - (watched or frozenset()):
                self._shown.pictures.forget(camera)
            self._watched = watched
            self._shown.watch(watched)


def _packed(part: str, text: str) -> str:
    """A text message to a page: what it is, and that."""
    content = json.dumps(text) if part == "refusal" else text
    return f'{{"{part}": {content}}}'


@contextlib.contextmanager
def serving(server: ConsoleServer) -> Iterator[ConsoleServer]:
    """A server that listens inside the block."""
    server.start()
    try:
        yield server
    finally:
        server.close()
