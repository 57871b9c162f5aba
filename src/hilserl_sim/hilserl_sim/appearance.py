"""What the hard scene looks like in an episode: floor, clutter, light, and camera poses.

A policy that has learned one picture by heart fails here, as it would on a bench where
somebody moves a lamp, puts a cup down, or bumps into the camera.
"""

from __future__ import annotations

import colorsys

import mujoco
import numpy as np
from numpy.typing import NDArray

from hilserl_description.arm_model import ArmModel
from hilserl_description.koch import KOCH
from hilserl_description.scenes import CAMERAS, CLUTTER, FLOORS

Vector = NDArray[np.float64]

CAMERA_SHIFT = 0.01
"""m, how far a camera may stand from its nominal place along each axis."""
CAMERA_TURN = np.radians(2.0)
"""rad, how far it may be turned, about any axis."""
_TEXTURE_SEED = 0  # the floors are the same in every run; which one lies there is drawn
_ROOM = ((-0.26, 0.26), (0.02, 0.40))  # m, where clutter stands: x and y
_MARGIN = 0.03  # m between the patch where the object starts and anything that stands
_FLAT = 0.001  # m, height of what lies inside the patch
_OTHER_HUE = 0.08
"""Least distance of any clutter's hue from the object's (a turn of hues is 1): what is to be
lifted is known by its colour alone, and a second thing of that colour would be it as well."""
_CLEAR = 0.035  # m around object and goal that stay free


class Appearance:
    """Varies a hard scene's model in place.

    Args:
        model: made by ``load_scene(task, "hard")``; its textures are painted here, so that
            a renderer has to be made after this.
        arm: that stands in it.
    """

    def __init__(self, model: mujoco.MjModel, arm: ArmModel = KOCH) -> None:
        self._model = model
        self._patch_low, self._patch_high = np.array(arm.patch)
        self._floors = [model.material(f"floor{i}").id for i in range(FLOORS)]
        self._table = model.geom("table").id
        self._clutter = [model.geom(f"clutter{i}").id for i in range(CLUTTER)]
        self._cameras = [model.camera(name).id for name in CAMERAS]
        self._camera_position = model.cam_pos.copy()
        self._camera_rotation = model.cam_quat.copy()
        red, green, blue = model.geom_rgba[model.body("object").geomadr[0], :3]
        self._object_hue = colorsys.rgb_to_hsv(red, green, blue)[0]
        rng = np.random.default_rng(_TEXTURE_SEED)
        for i in range(FLOORS):
            texture = model.texture(f"floor{i}")
            size = int(texture.height[0] * texture.width[0] * 3)
            image = _texture(rng, int(texture.height[0]), int(texture.width[0]))
            model.tex_data[texture.adr[0] : texture.adr[0] + size] = image.ravel()

    def randomise(self, rng: np.random.Generator, free: Vector) -> None:
        """Draws the looks of an episode.

        Args:
            rng: of the episode.
            free: (n, 2) m, places that nothing covers: the object's, and the goal's.
        """
        self._change_floor(rng)
        self._change_light(rng)
        self._move_cameras(rng)
        for i, geom in enumerate(self._clutter):
            # Every third thing lies flat in the arm's way: it can pass over it.
            self._place_clutter(geom, rng, free, flat=i % 3 == 0)

    def _change_floor(self, rng: np.random.Generator) -> None:
        material = self._floors[rng.integers(FLOORS)]
        self._model.geom_matid[self._table] = material
        self._model.mat_rgba[material, :3] = rng.uniform(0.55, 1.0, 3)

    def _change_light(self, rng: np.random.Generator) -> None:
        model = self._model
        tilt, turn = rng.uniform(0.0, 0.9), rng.uniform(-np.pi, np.pi)
        model.light_dir[0] = (
            np.sin(tilt) * np.cos(turn),
            np.sin(tilt) * np.sin(turn),
            -np.cos(tilt),
        )
        warmth = rng.uniform(-0.08, 0.08)
        colour = np.array([1.0 + warmth, 1.0, 1.0 - warmth])
        model.light_diffuse[0] = rng.uniform(0.2, 0.75) * colour
        model.vis.headlight.ambient[:] = rng.uniform(0.2, 0.45) * colour
        model.vis.headlight.diffuse[:] = rng.uniform(0.15, 0.5)

    def _move_cameras(self, rng: np.random.Generator) -> None:
        model = self._model
        for camera in self._cameras:
            shift = rng.uniform(-CAMERA_SHIFT, CAMERA_SHIFT, 3)
            model.cam_pos[camera] = self._camera_position[camera] + shift
            axis = rng.normal(size=3)
            turn = np.zeros(4)
            angle = rng.uniform(-CAMERA_TURN, CAMERA_TURN)
            mujoco.mju_axisAngle2Quat(turn, axis / np.linalg.norm(axis), angle)
            mujoco.mju_mulQuat(model.cam_quat[camera], self._camera_rotation[camera], turn)

    def _place_clutter(self, geom: int, rng: np.random.Generator, free: Vector, flat: bool) -> None:
        model = self._model
        size = rng.uniform(0.008, 0.03, 3)
        if flat:
            size[2] = _FLAT / 2
            low, high = self._patch_low, self._patch_high
        else:
            low, high = np.array(_ROOM).T
        place = rng.uniform(low, high)
        for _ in range(100):
            patch = np.all(place > self._patch_low - _MARGIN - size[:2]) and np.all(
                place < self._patch_high + _MARGIN + size[:2]
            )
            near = np.min(np.linalg.norm(place - free, axis=1)) < _CLEAR + size[:2].max()
            if not near and (flat or not patch):
                break
            place = rng.uniform(low, high)
        model.geom_size[geom] = size
        # The culling radius; MuJoCo computes it when it compiles a model.
        model.geom_rbound[geom] = float(np.linalg.norm(size)) * 2
        model.geom_pos[geom] = (*place, size[2])
        turn = rng.uniform(-np.pi, np.pi)
        model.geom_quat[geom] = (np.cos(turn / 2), 0, 0, np.sin(turn / 2))
        hue = (self._object_hue + rng.uniform(_OTHER_HUE, 1 - _OTHER_HUE)) % 1.0
        model.geom_rgba[geom, :3] = colorsys.hsv_to_rgb(
            hue, rng.uniform(0.3, 1.0), rng.uniform(0.3, 0.95)
        )


def _texture(rng: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    """A mottled or striped surface, (height, width, 3)."""
    image = np.zeros((height, width, 3))
    base, other = rng.uniform(60, 210, (2, 3))
    blend = np.zeros((height, width))
    for octave in (4, 8, 16, 32):
        # Periodic value noise: coarse grids, repeated to full size.
        grid = rng.uniform(-1, 1, (octave, octave))
        blend += np.kron(grid, np.ones((height // octave, width // octave))) * 2 / octave**0.5
    kind = rng.integers(3)
    rows, columns = np.mgrid[0:height, 0:width]
    if kind == 1:
        blend += 1.2 * np.sin(2 * np.pi * columns * rng.integers(3, 12) / width)
    elif kind == 2:
        tiles = int(rng.integers(2, 8))
        blend += 1.2 * (((rows * tiles // height) + (columns * tiles // width)) % 2)
    share = 1 / (1 + np.exp(-blend))[..., None]
    image = base * share + other * (1 - share) + rng.normal(0, 6, (height, width, 1))
    return np.clip(image, 0, 255).astype(np.uint8)
