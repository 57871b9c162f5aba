"""Frames to video files and back, each frame at the time that its number says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from hilserl_core.errors import UserError

# Read by the AV1 encoder when it is loaded: errors only, not a page a file.
os.environ.setdefault("SVT_LOG", "1")


@dataclass(frozen=True)
class Codec:
    """How frames are encoded.

    Attributes:
        encoder: its name in FFmpeg.
        pixels: the format that frames have in the file.
        name: what FFmpeg calls the stream that comes out.
        lossless: whether frames come back bit for bit.
        options: of the encoder.
    """

    encoder: str
    pixels: str
    name: str
    lossless: bool
    options: dict[str, str] = field(default_factory=dict)


# A key frame every other frame: data sets are read at random. No frames that refer to later
# ones, which would move the first frame away from 0 s.
CODECS = {
    "h264": Codec("libx264", "yuv420p", "h264", False, {"crf": "18", "g": "2", "bf": "0"}),
    "av1": Codec("libsvtav1", "yuv420p", "av1", False, {"crf": "30", "g": "2", "preset": "8"}),
    "ffv1": Codec("ffv1", "bgr0", "ffv1", True),
}


class VideoWriter:
    """Writes one MP4 file; frame ``i`` is shown at ``i / fps`` seconds, exactly.

    Attributes:
        frames: written so far.
        size: bytes that they take so far.
    """

    def __init__(self, path: Path, codec: Codec, fps: int, height: int, width: int) -> None:
        """Opens the file.

        Raises:
            UserError: the codec cannot encode frames of that size.
        """
        if codec.pixels == "yuv420p" and (height % 2 or width % 2):
            raise UserError(
                f"frames of {width} x {height}: {codec.name} needs even sizes: choose codec ffv1 "
                "or png"
            )
        self.path, self.frames, self.size = path, 0, 0
        self._period = Fraction(1, fps)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._container = av.open(str(path), "w", format="mp4", options={"strict": "-2"})
        stream = self._container.add_stream(codec.encoder, fps, options=codec.options)
        assert isinstance(stream, av.VideoStream)
        self._stream = stream
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = codec.pixels
        self._stream.time_base = self._period

    def write(self, image: NDArray[np.uint8]) -> None:
        """Adds a frame (height, width, 3) rgb."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame.pts, frame.time_base = self.frames, self._period
        self._mux(frame)
        self.frames += 1

    def close(self) -> None:
        """Writes what the encoder still holds, and ends the file."""
        self._mux(None)
        self._container.close()

    def _mux(self, frame: av.VideoFrame | None) -> None:
        try:
            for packet in self._stream.encode(frame):
                self.size += packet.size
                self._container.mux(packet)
        except av.FFmpegError as error:
            width, height = self._stream.width, self._stream.height
            raise UserError(
                f"{self.path}: frames of {width} x {height} cannot be encoded ({error}): choose "
                "another codec"
            ) from None


def read_video(path: Path) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """Times (s) and frames (height, width, 3) rgb of a video file, in order.

    Raises:
        UserError: it cannot be opened or decoded.
    """
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            for frame in container.decode(stream):
                if frame.pts is not None and stream.time_base is not None:
                    image = frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
                    yield float(frame.pts * stream.time_base), image
    except (OSError, av.FFmpegError, IndexError) as error:
        raise UserError(f"{path}: is no video, or damaged: {error}") from None
