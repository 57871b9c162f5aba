"""The server as a browser meets it, without ROS and without a browser."""

import asyncio
import json
import random
import socket
import struct
from functools import partial

import pytest
from aiohttp import WSMsgType, WSServerHandshakeError
from aiohttp.test_utils import TestClient, TestServer
from console_fakes import Console, Visitor, unpack, until, visit, visiting

from hilserl_core.step import Event
from hilserl_teleop import console_server
from hilserl_teleop.console_access import Access
from hilserl_teleop.console_messages import MAX_BYTES, Drive
from hilserl_teleop.console_server import serving
from hilserl_teleop.console_sessions import REFUSALS

WISH = {"type": "drive", "move": [1, 0, 0], "grip": 0, "speed": 0.5}
TAKEOVER = {"type": "event", "event": "takeover"}


@pytest.fixture
def console():
    return Console()


async def state(page) -> dict:
    """The next state that a page is sent."""
    while True:
        message = await page.receive(timeout=10)
        assert message.type in (WSMsgType.TEXT, WSMsgType.BINARY)
        content = json.loads(message.data) if message.type == WSMsgType.TEXT else {}
        if "state" in content:
            return content["state"]


async def pictures(page) -> tuple[dict, bytes]:
    """The header of the next picture message that a page is sent, and its JPEGs."""
    while True:
        message = await page.receive(timeout=10)
        if message.type == WSMsgType.BINARY:
            (size,) = struct.unpack_from("<I", message.data)
            return json.loads(message.data[4 : 4 + size]), message.data[4 + size :]


def test_the_page_and_all_that_it_names_are_there(console):
    async def story(visitor: Visitor) -> None:
        answer = await visitor.client.get("/")
        page = await answer.text()
        assert answer.status == 200
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "http://" not in page.replace("http://www.w3.org", "")
        assert "https://" not in page
        for name in ("style.css", "colours.css", "main.js", "link.js", "drive.js", "icon.svg"):
            assert (await visitor.client.get(f"/page/{name}")).status == 200
        assert (await visitor.client.get("/page/../console_node.py")).status == 404
        assert (await visitor.client.get("/page/nothing.js")).status == 404
        assert (await (await visitor.client.get("/api/setup")).json()) == {"device": "console"}

    visit(console, story)


def test_a_page_sees_the_state_and_moves_the_arm(console):
    console.state.arbitration(0, "", 0.0, False, "")

    async def story(visitor: Visitor) -> None:
        page = await visitor.socket()
        assert (await state(page))["arbitration"]["state"] == 0
        await page.send_json(TAKEOVER)
        await page.send_json(WISH)
        await until(lambda: len(console.operator.done) == 2)
        seen = await state(page)
        while seen["page"]["driver"] is None:
            seen = await state(page)
        assert seen["page"]["driver"] == seen["page"]["you"] == 1
        await page.close()
        await until(lambda: "rest" in console.operator.done)

    visit(console, story)
    assert console.operator.done == [Event.TAKEOVER, Drive((1.0, 0.0, 0.0), 0, 0.5), "rest"]
    assert console.watched == [frozenset(), None]


def test_pictures_come_to_whoever_wants_them_and_only_once_each(console):
    async def story(visitor: Visitor) -> None:
        page = await visitor.socket()
        await page.send_json({"type": "view", "cameras": ["front"]})
        await until(lambda: frozenset({"front"}) in console.watched)
        console.pictures.offer("front", partial(unpack, b"\x80"))
        header, jpeg = await pictures(page)
        assert header["frame"] == 1
        assert header["pictures"] == [
            {"camera": "front", "width": 32, "height": 24, "bytes": len(jpeg)}
        ]
        assert jpeg.startswith(b"\xff\xd8")
        await page.send_json({"type": "seen", "frame": 1})
        for _ in range(3):
            await state(page)
        console.pictures.offer("front", partial(unpack, b"\x10"))
        assert (await pictures(page))[0]["frame"] == 2
        console.pictures.offer("front", partial(unpack, b"bad"))
        seen = await state(page)
        while not seen["problems"]:
            seen = await state(page)
        assert seen["problems"] == ["camera front: an image's encoding is 'strange'"]

    visit(console, story)


def test_a_viewer_that_does_not_keep_up_gets_fewer_pictures_and_stalls_nobody(console):
    async def story(visitor: Visitor) -> None:
        slow, quick = await visitor.socket(), await visitor.socket()
        for page in (slow, quick):
            await page.send_json({"type": "view", "cameras": ["front"]})
        await until(lambda: console.sessions.cameras())
        frames = 0
        while frames < 6:
            console.pictures.offer("front", partial(unpack, bytes([frames])))
            frames = (await pictures(quick))[0]["frame"]
            await quick.send_json({"type": "seen", "frame": frames})
        assert [page.sent for page in console.sessions.pages.values()] == [2, 6]

    visit(console, story)


def test_a_viewer_that_stalls_is_told_so_until_it_goes_on(console):
    async def behind(page, expected: bool) -> None:
        while (await state(page))["page"]["behind"] is not expected:
            pass

    async def story(visitor: Visitor) -> None:
        page = await visitor.socket()
        await page.send_json({"type": "view", "cameras": ["front"]})
        await until(lambda: console.sessions.cameras())
        for number in range(2):
            console.pictures.offer("front", partial(unpack, bytes([number])))
            await pictures(page)
        console.pictures.offer("front", partial(unpack, b"\x09"))
        await state(page)
        assert not (await state(page))["page"]["behind"]
        console.now += 3.0
        await behind(page, True)
        await page.send_json({"type": "seen", "frame": 2})
        assert (await pictures(page))[0]["frame"] == 3
        await behind(page, False)

    visit(console, story)


def test_a_stranger_is_turned_away(console):
    async def story(visitor: Visitor) -> None:
        client = visitor.client
        assert (await client.get("/", headers={"Host": "evil.example:8080"})).status == 403
        for origin in ("http://evil.example", "null", ""):
            with pytest.raises(WSServerHandshakeError) as refused:
                await visitor.socket(Origin=origin)
            assert refused.value.status == 403
            answer = await client.post("/api/labels", headers={"Origin": origin}, json={})
            assert answer.status == 403
        assert (await client.get("/socket")).status in (400, 403)

    visit(console, story)
    assert console.operator.done == []


def test_from_elsewhere_the_token_opens_the_page_and_nothing_else_does(console):
    access = Access.to("0.0.0.0")

    async def story() -> None:
        async with visiting(console, access) as visitor:
            client = visitor.client
            for path in ("/", "/page/main.js", "/api/setup", "/?token=wrong"):
                answer = await client.get(path)
                assert answer.status == 401
                assert "token" in await answer.text()
            with pytest.raises(WSServerHandshakeError):
                await visitor.socket()
            answer = await client.get(f"/?token={access.token}", allow_redirects=False)
            assert answer.status == 303
            assert answer.headers["Location"] == "/"
            cookie = answer.headers["Set-Cookie"]
            assert "HttpOnly" in cookie
            assert "SameSite=Strict" in cookie
            name, _, token = cookie.partition(";")[0].partition("=")
            headers = {"Cookie": f"{name}={token}", "Host": "arm.local:8080"}
            assert (await client.get("/", headers=headers)).status == 200
            page = await visitor.socket(Origin="http://arm.local:8080", **headers)
            await state(page)

    asyncio.run(story())


def nonsense(random_: random.Random) -> str | bytes:
    """A message that is not one, in one of many ways."""
    near = dict(WISH)
    return random_.choice(
        [
            lambda: random_.randbytes(random_.randrange(200)),
            lambda: "".join(map(chr, random_.choices(range(1, 0xD800), k=50))),
            lambda: json.dumps({**near, "move": [random_.uniform(2, 1e9)] * 3}),
            lambda: json.dumps({**near, "move": [float("nan")] * 3}),
            lambda: json.dumps({**near, "speed": random_.choice(["1", None, [], -1, 1e300])}),
            lambda: json.dumps({**near, "exec": "import os"}),
            lambda: json.dumps({"type": random_.choice(["eval", "__init__", 7, None, {}])}),
            lambda: json.dumps(
                {"type": "event", "event": random_.choice(["go", 3, None, ["stop"]])}
            ),
            lambda: json.dumps(WISH),  # well made, and from a page that has not taken over
            lambda: "[" * random_.randrange(1, MAX_BYTES),
            lambda: json.dumps({**near, "more": "x" * random_.randrange(MAX_BYTES)}),
            lambda: "x" * random_.randrange(MAX_BYTES, 16 * MAX_BYTES),
            lambda: json.dumps({"type": "view", "cameras": ["x" * 70] * random_.randrange(20)}),
        ]
    )()


async def pester(visitor: Visitor, messages: int, random_: random.Random) -> int:
    """Sends nonsense until the console has had enough of this page; how much it took."""
    page = await visitor.socket()
    sent = 0
    while sent < messages and not page.closed:
        noise = nonsense(random_)
        try:
            await (page.send_str(noise) if isinstance(noise, str) else page.send_bytes(noise))
        except (ConnectionError, RuntimeError):
            break
        sent += 1
        if sent % 50 == 0:
            await asyncio.sleep(0)
    await page.close()
    return sent


def test_ten_thousand_senseless_messages_move_nothing_and_end_nothing(console):
    async def story(visitor: Visitor) -> None:
        random_, sent, pages = random.Random(1), 0, 0
        watcher = await visitor.socket()
        while sent < 10_000:
            sent += await pester(visitor, 10_000 - sent, random_)
            pages += 1
        assert pages > 1  # a page that floods is sent away, sooner or later
        assert console.operator.done == []
        assert (await state(watcher))["page"]["you"] == 1
        await watcher.send_json(TAKEOVER)
        await watcher.send_json(WISH)
        await until(lambda: len(console.operator.done) == 2)

    visit(console, story)
    assert console.operator.moved == [Event.TAKEOVER, Drive((1.0, 0.0, 0.0), 0, 0.5)]
    assert console.sessions.refused > REFUSALS


def test_a_port_in_use_is_said_once_and_taken_when_it_is_free(console, monkeypatch):
    monkeypatch.setattr(console_server, "RETRY", 0.05)

    async def told(count: int) -> None:
        await until(lambda: len(console.said) >= count)

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with serving(console.server(port=port)):
            asyncio.run(told(1))
            asyncio.run(asyncio.sleep(0.2))
            ((words, warning),) = console.said
            other.close()
            asyncio.run(told(2))
    assert warning
    assert f"port {port} of 127.0.0.1 cannot be had" in words
    assert "the run goes on" in words
    assert console.said[1] == (f"console: http://localhost:{port}", False)


def test_errors_of_the_api_are_said_in_words(console):
    async def story(visitor: Visitor) -> None:
        client, headers = visitor.client, {"Origin": visitor.origin}
        answer = await client.get("/api/episodes")
        assert answer.status == 400
        assert "knows no run" in (await answer.json())["error"]
        answer = await client.post("/api/region", headers=headers, data=b"not json")
        assert answer.status == 400
        assert "JSON object" in (await answer.json())["error"]
        huge = {"camera": "front", "region": [1] * 100_000}
        assert (await client.post("/api/region", headers=headers, json=huge)).status == 413
        assert (await client.delete("/api/setup", headers=headers)).status == 405

    visit(console, story)


def test_the_server_can_be_asked_by_two_at_once(console):
    async def story() -> None:
        application = console.server().application()
        async with TestClient(TestServer(application)) as client:
            answers = await asyncio.gather(*(client.get("/api/setup") for _ in range(20)))
            assert {answer.status for answer in answers} == {200}

    asyncio.run(story())
