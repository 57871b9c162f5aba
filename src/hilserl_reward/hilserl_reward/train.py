"""The program ``train``: makes a reward classifier of the labelled frames of runs."""

from __future__ import annotations

import argparse
import copy
import dataclasses
import os
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from hilserl_core.errors import UserError
from hilserl_core.options import add_options, given
from hilserl_core.parameters import build
from hilserl_reward.classifier import Classifier, load_classifier, save_classifier
from hilserl_reward.evaluation import Judged, judged_by
from hilserl_reward.frames import LabelledFrames, counts, join, read_frames
from hilserl_reward.report import write_report
from hilserl_reward.training import (
    Training,
    TrainingSettings,
    check_classes,
    new_classifier,
    targets_of,
)
from hilserl_reward.validation import divide, with_thresholds

_EXAMPLE = """\
examples:
  train runs/shown --out classifier.safetensors
  train runs/shown runs/first --out better.safetensors --continue classifier.safetensors
"""


def main(args: Sequence[str] | None = None) -> None:
    """Entry point; the last line printed says how good the classifier is."""
    parser = argparse.ArgumentParser(
        prog="train",
        description="Trains a reward classifier on labelled frames (label them with 'label').",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="labelled runs")
    parser.add_argument("--out", type=Path, required=True, help="file to write, .safetensors")
    parser.add_argument(
        "--continue",
        type=Path,
        dest="start",
        metavar="FILE",
        help="a classifier to go on from, instead of from nothing; its shapes stay",
    )
    parser.add_argument(
        "--threads", type=int, default=os.cpu_count() or 1, help="that compute [all]"
    )
    add_options(parser, TrainingSettings, "the classifier")
    arguments = parser.parse_args(args)
    try:
        settings = build(TrainingSettings, given(arguments, TrainingSettings))
        threads = max(1, arguments.threads)
        torch.set_num_threads(max(1, threads // (settings.folds + 1)))
        print(make(arguments.runs, arguments.out, settings, arguments.start, threads))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def make(
    runs: Sequence[Path],
    out: Path,
    settings: TrainingSettings,
    start: Path | None = None,
    threads: int = 1,
) -> str:
    """Trains, writes the classifier and its report; returns the line that says how good it is.

    Raises:
        UserError: the labels do not do, or a file cannot be read or written.
    """
    known = load_classifier(start) if start is not None else None
    reduce = known.spec.encoder.reduce if known is not None else settings.reduce
    frames = join([read_frames(run, reduce) for run in runs])
    own = ", ".join(f"{n} {label.name.lower()}" for label, n in counts(frames.label).items())
    print(f"{len(frames)} frames of {len(np.unique(frames.episode))} episodes: {own}", flush=True)
    began = time.monotonic()
    classifier, validated = fit(frames, settings, known, threads)
    seconds = time.monotonic() - began
    notes = {
        "runs": ", ".join(str(run) for run in runs),
        "frames": own,
        "settings": str(dataclasses.asdict(settings)),
    }
    save_classifier(out, classifier, notes)
    report = write_report(out, classifier, validated, {**notes, "training_s": f"{seconds:.1f}"})
    return f"{verdict(validated)} · trained in {seconds:.0f} s · {out} · report: {report}"


def verdict(judged: Judged) -> str:
    """How good a classifier is, in one line."""
    episodes = len(np.unique(judged.frames.episode))
    return (
        f"accuracy {100 * judged.accuracy:.2f} %, false positives "
        f"{100 * judged.false_positives:.2f} %, recall {100 * judged.recall:.1f} % on "
        f"{len(judged.target)} frames of {episodes} episodes that their judge had not seen"
    )


def fit(
    frames: LabelledFrames,
    settings: TrainingSettings,
    known: Classifier | None = None,
    threads: int = 1,
) -> tuple[Classifier, Judged]:
    """Trains a classifier, from nothing or from one that is known, and validates it.

    Args:
        threads: trainings side by side, which come to the same whatever their number: batches
            are too small for two cores to share one well.

    Returns:
        The classifier, which has learned from all frames, and what others, trained alike on
        other episodes, make of each frame: by that its thresholds are chosen.

    Raises:
        UserError: the frames lack a class, or do not fit the classifier that is known.
    """
    classifier = known if known is not None else new_classifier(frames, settings)
    spec = classifier.spec
    if frames.state.shape[1] != spec.state_dim or frames.size != _size(classifier):
        raise UserError(
            f"the frames ({frames.size} images, {frames.state.shape[1]} state values) do not fit "
            f"the classifier ({_size(classifier)}, {spec.state_dim}): train from nothing"
        )
    check_classes(frames, spec)
    fold = divide(frames, settings.folds, settings.seed)
    parts = np.unique(fold)
    learned = [frames.part(fold != part) for part in parts]
    for some in learned:
        check_classes(some, spec)
    others = [
        copy.deepcopy(known) if known is not None else new_classifier(some, settings)
        for some in learned
    ]
    _train([*zip(others, learned, strict=True), (classifier, frames)], settings, threads)
    logits = np.zeros((len(frames), len(spec.classes)), np.float32)
    for part, other in zip(parts, others, strict=True):
        kept = frames.part(fold == part)
        logits[fold == part] = other.logits(kept.images, kept.state)
    target = targets_of(frames, spec)
    classifier.spec = with_thresholds(spec, logits, target, settings.false_positives)
    return classifier, judged_by(classifier.spec, frames, logits)


def _train(
    each: Sequence[tuple[Classifier, LabelledFrames]], settings: TrainingSettings, threads: int
) -> None:
    """Trains classifiers, each on its frames, so many at once."""
    bar = _Bar(settings.updates * len(each))

    def train(one: tuple[Classifier, LabelledFrames]) -> None:
        Training(*one, settings).run(bar.show)

    with ThreadPoolExecutor(threads) as pool:
        try:
            list(pool.map(train, each))
        except BaseException:  # An interrupt too must not wait for trainings nobody wants.
            bar.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _size(classifier: Classifier) -> tuple[int, int, int]:
    encoder = classifier.spec.encoder
    return len(encoder.cameras), encoder.height, encoder.width


class _Bar:
    """Says how far all trainings together are, where somebody looks; and stops them."""

    _PERIOD = 0.5  # s

    def __init__(self, updates: int) -> None:
        self._updates, self._done, self._shown = updates, 0, 0.0
        self._stopped = False
        self._lock = threading.Lock()

    def stop(self) -> None:
        """Ends every training at its next update."""
        self._stopped = True

    def show(self, loss: float) -> None:
        if self._stopped:
            raise CancelledError
        with self._lock:
            self._done += 1
            done, now = self._done, time.monotonic()
            last = done == self._updates
            if sys.stderr.isatty() and (last or now - self._shown > self._PERIOD):
                self._shown = now
                end = "\n" if last else ""
                text = f"\rtraining {100 * done // self._updates:3d} %  loss {loss:.3f} "
                print(text, end=end, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
