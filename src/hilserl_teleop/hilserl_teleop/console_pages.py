"""The console's page as files in memory, and who is let in to see it."""

from __future__ import annotations

import socket
from importlib.resources import files
from pathlib import PurePath

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from hilserl_core.errors import UserError
from hilserl_teleop.console_access import Access, is_loopback

TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
HEADERS = {
    # Nothing is fetched from elsewhere, nothing runs that is not a file of this package, and no
    # other page can put this one into a frame to have its buttons pressed.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def read_files() -> dict[str, tuple[str, bytes]]:
    """The page's files by name: content type and content."""
    folder = files("hilserl_teleop") / "console_page"
    return {
        item.name: (TYPES[PurePath(item.name).suffix], item.read_bytes())
        for item in folder.iterdir()
        if PurePath(item.name).suffix in TYPES
    }


def cookie_name(port: int) -> str:
    """Cookies of one host are shared by all its ports."""
    return f"hilserl_console_{port}"


def shown_address(host: str, port: int, access: Access) -> str:
    """What to type into a browser."""
    if is_loopback(host):
        return f"http://localhost:{port}"
    if host in ("0.0.0.0", "::"):
        host = _own_address()
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}/?token={access.token}"


def _own_address() -> str:
    """The address under which others reach this machine."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))  # sends nothing: it only chooses a route
            return str(probe.getsockname()[0])
    except OSError:
        return socket.gethostname()


def guard(access: Access, port: int) -> Middleware:
    """Lets a request through only where the access rule does."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        token = request.cookies.get(cookie_name(port), "")
        given = request.query.get("token", "") if request.path == "/" else ""
        reason = access.why_not(request.host, given or token)
        if reason:
            return _refused(reason, 401 if access.token else 403)
        upgrade = "upgrade" in request.headers.get("Connection", "").lower()
        changes = request.method not in ("GET", "HEAD") or upgrade
        if changes and not Access.from_own_page(request.host, request.headers.get("Origin", "")):
            return _refused("this request does not come from the console's own page", 403)
        try:
            response = await handler(request)
        except UserError as error:
            response = web.json_response({"error": str(error)}, status=400)
        except web.HTTPException as error:
            response = web.json_response({"error": error.reason}, status=error.status)
        if not response.prepared:
            response.headers.update(HEADERS)
        return response

    return check


def _refused(reason: str, status: int) -> web.Response:
    return web.Response(text=f"refused: {reason}\n", status=status, headers=HEADERS)


def page_routes(access: Access, port: int) -> list[web.RouteDef]:
    """The page itself."""
    contents = read_files()

    async def index(request: web.Request) -> web.StreamResponse:
        given = request.query.get("token")
        if given is None:
            return answer("index.html")
        # The token goes from the address line into a cookie: it stays out of the history and
        # of pictures of the screen.
        response = web.Response(status=303, headers={"Location": "/"})
        if access.token:
            name = cookie_name(port)
            response.set_cookie(name, given, httponly=True, samesite="Strict", path="/")
        return response

    async def file(request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if name not in contents:
            raise web.HTTPNotFound
        return answer(name)

    def answer(name: str) -> web.Response:
        kind, content = contents[name]
        return web.Response(body=content, content_type=kind, charset="utf-8")

    return [web.get("/", index), web.get("/page/{name}", file)]
