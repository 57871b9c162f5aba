"""A region chosen without a browser, on whatever shows a frame."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from rclpy.serialization import serialize_message
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from hilserl_camera.select_roi import main
from hilserl_camera.stills import of_bag
from hilserl_camera.synthetic import draw, read_number
from hilserl_core.errors import UserError
from hilserl_core.images import to_image, to_jpeg

REGION = ["--region", "10", "20", "100", "100"]


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def picture():
    cv2.imwrite("picture.png", draw(640, 480, 0)[:, :, ::-1])
    return "picture.png"


def region(node="camera_node", file="cameras.yaml"):
    return yaml.safe_load(Path(file).read_text())[node]["ros__parameters"]["region"]


def write_bag(folder, topics, plugin=StoragePlugin.MCAP, count=5, frames=range(5)):
    """A bag of another program: ``count`` frames, 1 s apart, on each topic (name, compressed)."""
    store = get_typestore(Stores.ROS2_JAZZY)
    with Writer(Path(folder), version=9, storage_plugin=plugin) as writer:
        for topic, compressed in topics:
            kind = "CompressedImage" if compressed else "Image"
            make = to_jpeg if compressed else to_image
            connection = writer.add_connection(topic, f"sensor_msgs/msg/{kind}", typestore=store)
            for number in frames:
                stamp = (100 + number) * 1_000_000_000
                message = make(draw(640, 480, number), stamp)
                writer.write(connection, stamp, serialize_message(message))


def test_a_region_is_kept_without_a_frame():
    assert main(REGION) == 0
    assert region() == [10, 20, 100, 100]


def test_another_node_and_file():
    assert main([*REGION, "--node", "wrist_camera", "--file", "wrist.yaml"]) == 0
    assert region("wrist_camera", "wrist.yaml") == [10, 20, 100, 100]


def test_a_region_is_checked_on_a_picture(picture, capsys):
    assert main([*REGION, "--image", picture]) == 0
    assert main(["--region", "600", "0", "100", "100", "--image", picture]) == 1
    assert "does not lie in the frame of 640 x 480" in capsys.readouterr().err
    assert region() == [10, 20, 100, 100]


def test_a_device_is_opened_as_the_file_says(capsys):
    Path("cameras.yaml").write_text(
        "/**:\n  ros__parameters: {width: 80}\n"
        "camera_node:\n  ros__parameters: {height: 60, name: front}\n"
    )
    device = ["--device", "synthetic"]
    assert main(["--region", "0", "0", "100", "60", *device]) == 1
    assert "the frame of 80 x 60" in capsys.readouterr().err
    assert main(["--region", "0", "0", "100", "60", *device, "--width", "100"]) == 0
    assert region() == [0, 0, 100, 60]


def test_one_cameras_device_is_opened_as_the_file_says_of_all(capsys):
    Path("cameras.yaml").write_text(
        "camera_node:\n  ros__parameters: {width: 80, height: 60}\n"
        "wrist_camera:\n  ros__parameters: {height: 40}\n"
    )
    words = ["--device", "synthetic", "--node", "wrist_camera"]
    assert main(["--region", "0", "0", "80", "60", *words]) == 1
    assert "the frame of 80 x 40" in capsys.readouterr().err
    assert main(["--region", "0", "0", "80", "40", *words]) == 0
    assert region("wrist_camera") == [0, 0, 80, 40]


@pytest.mark.parametrize("plugin", StoragePlugin)
@pytest.mark.parametrize("compressed", [False, True])
def test_a_bag_shows_its_middle(plugin, compressed):
    write_bag("bag", [("/camera/front/image_raw", compressed)], plugin)
    still = of_bag(Path("bag"))
    assert read_number(still.frame()) == 2
    assert "bag /camera/front/image_raw" in still.name


def test_a_run_shows_its_newest_bag():
    for number in (1, 2):
        folder = Path(f"runs/first/episodes/00000{number}")
        folder.parent.mkdir(parents=True, exist_ok=True)
        write_bag(folder, [("/camera/front/image_raw", False)], frames=[10 * number])
    assert read_number(of_bag(Path("runs/first")).frame()) == 20


def test_a_topic_is_chosen_where_there_are_several(capsys):
    write_bag("bag", [("/b/image_raw", False), ("/a/image_raw", False)])
    assert main([*REGION, "--bag", "bag"]) == 1
    assert "images on /a/image_raw, /b/image_raw: choose one" in capsys.readouterr().err
    assert main([*REGION, "--bag", "bag", "--topic", "/c"]) == 1
    assert "no images on /c, choose from: /a/image_raw" in capsys.readouterr().err
    assert main([*REGION, "--bag", "bag", "--topic", "/a/image_raw"]) == 0


def test_a_bag_without_images():
    write_bag("bag", [])
    with pytest.raises(UserError, match="holds no topic with images: record camera/NAME"):
        of_bag(Path("bag"))


def test_a_bag_that_is_cut_off():
    write_bag("bag", [("/image", False)])
    (file,) = Path("bag").glob("*.mcap")
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(UserError, match="bag cannot be read"):
        of_bag(Path("bag"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name where pictures come from"),
        (["--image", "a.png", "--device", "synthetic"], "name one source"),
        (["--topic", "/image", "--device", "synthetic"], "name one source"),
        (["--image", "none.png"], "picture none.png is not there"),
        (["--bag", "none"], "none is not there: name a bag's folder"),
        (["--bag", "."], "holds no bag"),
        (["--device", "/dev/video77"], "no camera /dev/video77"),
        (["--device", "synthetic", "--fps", "fast"], "'fps': 'fast' is not a float"),
        (["--region", "0", "0", "0", "9"], "width and height at least 1"),
        (["--region", "1", "1", "9", "9", "--file", "/proc/none/a.yaml"], "cannot be written"),
    ],
)
def test_mistakes_are_told_in_a_line(words, said, capsys):
    assert main(words) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert said in error
    assert len(error.splitlines()) == 1


def test_a_picture_that_is_none(capsys):
    Path("notes.png").write_text("no picture")
    assert main(["--image", "notes.png"]) == 1
    assert "notes.png is no PNG or JPEG" in capsys.readouterr().err


def test_the_frame_is_what_the_picture_shows(picture):
    from hilserl_camera.stills import of_image

    np.testing.assert_array_equal(of_image(Path(picture)).frame(), draw(640, 480, 0))
