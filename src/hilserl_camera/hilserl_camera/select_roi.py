"""The program ``select_roi``: draws the part of a camera's picture that the policy sees."""

from __future__ import annotations

import argparse
import asyncio
import sys
import webbrowser
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from hilserl_camera.pictures import PictureParameters
from hilserl_camera.roi_server import RoiServer
from hilserl_camera.source import SourceSettings
from hilserl_camera.stills import OfDevice, OfTopic, Stills, of_bag, of_image
from hilserl_core import parameter_file
from hilserl_core.cameras import OF_ALL, settings
from hilserl_core.errors import UserError
from hilserl_core.options import add_options, given
from hilserl_core.parameters import build
from hilserl_core.region import Region

EXAMPLE = """examples:
  select_roi --device /dev/video0                  on the camera's picture, in the browser
  select_roi --topic camera/image_raw              of a camera that another package drives
  select_roi --bag runs/first --topic /camera/front/image_raw
  select_roi --image picture.png --node wrist_camera --file cameras.yaml
  select_roi --device /dev/video0 --region 120 40 400 400      without a browser"""


def main(args: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = _parser().parse_args(args)
    try:
        return run(options)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("nothing was saved", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="select_roi",
        description="Draw the part of a camera's picture that the policy sees, in the browser, and "
        "keep it in a ROS parameter file.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--device", help="a camera, as camera_node takes it, or a video file")
    parser.add_argument("--topic", help="of a running node's images; with --bag, one of the bag's")
    parser.add_argument("--bag", type=Path, metavar="RUN", help="a bag, or a run's folder")
    parser.add_argument("--image", type=Path, metavar="FILE", help="a picture")
    parser.add_argument(
        "--file",
        type=Path,
        default=Path("cameras.yaml"),
        help="the parameter file, of which all else stays as it is [cameras.yaml]",
    )
    parser.add_argument("--node", default=OF_ALL, help=f"whose parameter it is [{OF_ALL}]")
    parser.add_argument(
        "--region",
        type=int,
        nargs=4,
        metavar=("X", "Y", "WIDTH", "HEIGHT"),
        help="keep this one, without a browser",
    )
    parser.add_argument("--port", type=int, default=0, help="of the page; 0: any [0]")
    parser.add_argument("--no-open", action="store_true", help="do not open the browser")
    add_options(
        parser,
        SourceSettings,
        "settings of --device; those not given are the file's",
        without=("device",),
    )
    return parser


def run(options: argparse.Namespace) -> int:
    """Lets a region be chosen, and keeps it.

    Raises:
        UserError: there is no frame, the region does not fit, or the file cannot be written.
    """
    sections = parameter_file.read(options.file) if options.file.exists() else {}
    kept = settings(sections, options.node)
    pictures = build(PictureParameters, _of(PictureParameters, kept))
    size = (pictures.size[0], pictures.size[1])
    if options.region and not any((options.device, options.topic, options.bag, options.image)):
        print(_save(options, Region.of(options.region)))
        return 0
    stills = _stills(options, kept)
    try:
        if options.region:
            height, width, _ = stills.frame().shape
            region = Region.of(options.region)
            region.check(width, height)
            print(_save(options, region))
            return 0
        region = Region.of(pictures.region)
        asyncio.run(_serve(options, stills, region, size))
        return 0
    finally:
        stills.close()


def _of(cls: type[Any], values: dict[str, Any]) -> dict[str, Any]:
    """Those of a node's parameters that a dataclass has."""
    return {field.name: values[field.name] for field in fields(cls) if field.name in values}


def _stills(options: argparse.Namespace, kept: dict[str, Any]) -> Stills:
    """Where the frames come from.

    Raises:
        UserError: it is not said, or there are none.
    """
    named = [name for name in ("device", "bag", "image") if getattr(options, name)]
    if len(named) > 1 or (options.topic and named not in ([], ["bag"])):
        raise UserError("name one source of pictures: --device, --topic, --bag or --image")
    if options.image:
        return of_image(options.image)
    if options.bag:
        return of_bag(options.bag, options.topic or "")
    if options.topic:
        return OfTopic(options.topic)
    if not options.device:
        raise UserError("name where pictures come from: --device, --topic, --bag or --image")
    own = {**_of(SourceSettings, kept), **given(options, SourceSettings, without=("device",))}
    return OfDevice(build(SourceSettings, {**own, "device": options.device}))


async def _serve(
    options: argparse.Namespace, stills: Stills, region: Region, size: tuple[int, int]
) -> None:
    def save(chosen: Region) -> str:
        said = _save(options, chosen)
        print(said, flush=True)
        return said

    def ready(address: str) -> None:
        print(f"draw the region at {address}", flush=True)
        print("(from another machine: ssh -L PORT:127.0.0.1:PORT; Ctrl-C ends without saving)")
        if not options.no_open:
            webbrowser.open(address)

    await RoiServer(stills, region, size, save).run(options.port, ready)


def _save(options: argparse.Namespace, region: Region) -> str:
    numbers = (region.x, region.y, region.width, region.height)
    parameter_file.set_numbers(options.file, options.node, "region", numbers)
    return f"{options.file}: region of {options.node} is {region}"


if __name__ == "__main__":
    sys.exit(main())
