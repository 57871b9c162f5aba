"""Loads a data set that `export` wrote with the lerobot package, frame by frame.

    hilserl run hilserl_replay export --format lerobot runs/NAME out/
    hilserl run hilserl_replay inspect --json runs/NAME > inspect.json
    python bench/check_lerobot.py out/ --inspect inspect.json

Run it with a Python that has lerobot (`pip install lerobot` in an environment of its own); it
needs nothing of this workspace. It says so, and exits with code 2, where lerobot is missing.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

SOURCES = ("policy", "human", "offline")


def main() -> None:
    """Exits 0 where every frame loads and everything counts as `inspect` says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dataset", type=Path, help="folder that `export` wrote")
    parser.add_argument("--inspect", type=Path, help="what `inspect --json` printed of the run")
    parser.add_argument("--backend", default="pyav", help="video decoder of lerobot [pyav]")
    arguments = parser.parse_args()
    try:
        from lerobot.datasets.lerobot_dataset import LeRobotDataset
    except ImportError as error:
        print(f"not checked: lerobot is not installed here ({error}): pip install lerobot")
        raise SystemExit(2) from None
    dataset = LeRobotDataset(
        "local/checked", root=arguments.dataset, video_backend=arguments.backend
    )
    problems = list(check(dataset, arguments.inspect))
    for problem in problems:
        print(f"wrong: {problem}", file=sys.stderr)
    raise SystemExit(1 if problems else 0)


def check(dataset: Any, inspected: Path | None) -> list[str]:
    """What is wrong with a data set that lerobot has opened."""
    sources: Counter[str] = Counter()
    problems: list[str] = []
    ends = successes = 0
    for i in range(len(dataset)):
        item = dataset[i]
        sources[SOURCES[int(item["source"])]] += 1
        ends += bool(item["next.done"])
        successes += bool(item["next.success"])
        for key in dataset.meta.camera_keys:
            image = item[key]
            shape = tuple(dataset.meta.features[key]["shape"])
            if tuple(image.shape) != (shape[2], shape[0], shape[1]) or not 0 < image.max() <= 1:
                problems.append(f"frame {i}, {key}: {tuple(image.shape)}, up to {image.max()}")
    print(
        f"{len(dataset)} frames of {dataset.num_episodes} episodes, task '{item['task']}', "
        f"{', '.join(f'{n} {name}' for name, n in sorted(sources.items()))}, "
        f"{successes} successes, cameras {', '.join(dataset.meta.camera_keys) or 'none'}"
    )
    if ends != dataset.num_episodes:
        problems.append(f"{ends} frames with next.done in {dataset.num_episodes} episodes")
    if inspected is not None:
        everything = json.loads(inspected.read_text())["all"]
        expected = {name: n for name, n in everything["steps"].items() if n}
        if expected != dict(sources):
            problems.append(f"source counts {dict(sources)}, inspect says {expected}")
        if everything["outcomes"]["success"] != successes:
            problems.append(
                f"{successes} successes, inspect says {everything['outcomes']['success']}"
            )
    return problems


if __name__ == "__main__":
    main()
