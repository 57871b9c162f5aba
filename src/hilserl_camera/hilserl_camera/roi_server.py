"""The page on which a region is drawn, served to this machine alone."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from aiohttp import web
from aiohttp.typedefs import Handler
from numpy.typing import NDArray

from hilserl_camera.stills import Stills
from hilserl_core.errors import UserError
from hilserl_core.images import to_jpeg
from hilserl_core.region import Region, policy_image

_LINGER = 0.5  # s after the answer to the save, so that it is out before the end.


class RoiServer:
    """Shows frames, previews the policy's image, and saves once.

    Args:
        stills: the frames.
        region: to begin with.
        size: (width, height) of the policy's image, pixels.
        save: keeps a region; returns what to say of it.
    """

    def __init__(
        self,
        stills: Stills,
        region: Region,
        size: tuple[int, int],
        save: Callable[[Region], str],
    ) -> None:
        self._stills, self._region, self._size, self._save = stills, region, size, save
        self._saved = asyncio.Event()
        # Another page in the same browser can reach this port, but cannot guess its path.
        self._secret = secrets.token_urlsafe(12)
        self._app = web.Application(middlewares=[_in_words])
        root = f"/{self._secret}"
        self._app.add_routes(
            [
                web.get(f"{root}/", self._page),
                web.get(f"{root}/state", self._state),
                web.get(f"{root}/frame.jpg", self._frame),
                web.get(f"{root}/policy.png", self._policy),
                web.post(f"{root}/save", self._on_save),
            ]
        )

    async def run(self, port: int, ready: Callable[[str], None]) -> None:
        """Serves until a region was saved.

        Args:
            port: to listen on; 0: one that is free.
            ready: called with the page's address.

        Raises:
            UserError: the port is in use.
        """
        runner = web.AppRunner(self._app, access_log=None)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", port)
            try:
                await site.start()
            except OSError as error:
                raise UserError(
                    f"port {port} cannot be used ({error.strerror}): name another with --port"
                ) from None
            ready(f"http://127.0.0.1:{runner.addresses[0][1]}/{self._secret}/")
            await self._saved.wait()
            await asyncio.sleep(_LINGER)
        finally:
            await runner.cleanup()

    async def _page(self, _request: web.Request) -> web.Response:
        page = Path(__file__).with_name("select_roi.html").read_text()
        return web.Response(text=page, content_type="text/html")

    async def _state(self, _request: web.Request) -> web.Response:
        height, width, _ = self._stills.frame().shape
        region = self._region
        if region.whole or region.x + region.width > width or region.y + region.height > height:
            region = Region(0, 0, width, height)
        return web.json_response(
            {
                "name": self._stills.name,
                "live": self._stills.live,
                "width": width,
                "height": height,
                "size": self._size,
                "region": [region.x, region.y, region.width, region.height],
            }
        )

    async def _frame(self, _request: web.Request) -> web.Response:
        jpeg = to_jpeg(self._stills.frame(), 0, quality=90)
        return web.Response(body=bytes(jpeg.data), content_type="image/jpeg")

    async def _policy(self, request: web.Request) -> web.Response:
        names = ("x", "y", "width", "height")
        region = _region([request.query.get(name, "") for name in names])
        small = policy_image(self._stills.frame(), region, self._size)
        return web.Response(body=_png(small), content_type="image/png")

    async def _on_save(self, request: web.Request) -> web.Response:
        try:
            numbers = await request.json()
        except ValueError:
            numbers = None
        region = _region(numbers if isinstance(numbers, list) else [])
        height, width, _ = self._stills.frame().shape
        region.check(width, height)
        said = self._save(region)
        self._saved.set()
        return web.Response(text=said)


@web.middleware
async def _in_words(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answers a mistake with its words."""
    try:
        return await handler(request)
    except UserError as error:
        return web.Response(status=400, text=str(error))


def _region(numbers: list[Any]) -> Region:
    try:
        return Region.of([int(number) for number in numbers])
    except (TypeError, ValueError):
        raise UserError(f"{numbers} is no region: send x, y, width, height") from None


def _png(rgb: NDArray[np.uint8]) -> bytes:
    data: bytes = cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))[1].tobytes()
    return data
