"""Training: it learns what it is shown, keeps episodes together, and knows how sure it is."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from shown_runs import LAST, make_episode, shown_run, write

from hilserl_core.errors import UserError
from hilserl_core.labels import By, FrameLabel, Label, append_labels
from hilserl_core.step import Event, Outcome
from hilserl_reward.classifier import load_classifier, save_classifier
from hilserl_reward.evaluation import judge
from hilserl_reward.frames import LabelledFrames, join, read_frames
from hilserl_reward.labelling import LabelSettings, label_run
from hilserl_reward.train import fit, main
from hilserl_reward.training import TrainingSettings, first_halves

QUICK = TrainingSettings(updates=150, batch_size=32, reduce=1, shift=1, learning_rate=3e-3)


def labelled(run: Path, last: int = LAST) -> Path:
    for labels in label_run(run, LabelSettings(last, 2)):
        append_labels(run, labels)
    return run


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return labelled(shown_run(tmp_path_factory.mktemp("shown") / "run"))


@pytest.fixture(scope="module")
def unseen(tmp_path_factory: pytest.TempPathFactory) -> LabelledFrames:
    run = tmp_path_factory.mktemp("unseen") / "run"
    for number in range(100, 108):
        write(run, make_episode(number, (Outcome.SUCCESS, Outcome.FAILURE)[number % 2]))
    return read_frames(labelled(run), 1)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("state", [True, False])
def test_a_classifier_learns_what_it_is_shown_and_is_the_same_once_read_back(
    shown: Path, unseen: LabelledFrames, tmp_path: Path, classes: int, state: bool
) -> None:
    settings = dataclasses.replace(QUICK, classes=classes, state=state)
    # The end of a failure looks as any other frame here: only success can be told.
    classifier, _ = fit(read_frames(shown, 1), settings)
    judged = judge(classifier, unseen)
    success = judged.target == len(judged.classes) - 1
    assert (judged.said[success] == len(judged.classes) - 1).mean() > 0.9
    assert judged.false_positives < 0.05
    save_classifier(tmp_path / "c.safetensors", classifier, {})
    again = load_classifier(tmp_path / "c.safetensors")
    assert again.spec == classifier.spec
    np.testing.assert_array_equal(judge(again, unseen).probability, judged.probability)


def test_trainings_side_by_side_come_to_the_same(shown: Path, unseen: LabelledFrames) -> None:
    few = dataclasses.replace(QUICK, updates=10)
    one, many = (fit(read_frames(shown, 1), few, threads=n) for n in (1, 3))
    assert one[0].spec == many[0].spec
    np.testing.assert_array_equal(one[1].probability, many[1].probability)
    np.testing.assert_array_equal(*(judge(c, unseen).probability for c, _ in (one, many)))


def test_a_state_of_success_alone_is_no_success(shown: Path, unseen: LabelledFrames) -> None:
    classifier, _ = fit(read_frames(shown, 1), QUICK)
    success = unseen.label == Label.SUCCESS
    images = unseen.images[~success]
    state = unseen.state[success][np.arange(len(images)) % success.sum()]
    said = classifier.probabilities(images, state)[:, -1] >= classifier.spec.success
    assert said.mean() < 0.05


def test_the_first_half_of_an_episode_is_of_what_is_labelled_of_it(shown: Path) -> None:
    frames = read_frames(shown, 1)
    early = first_halves(frames)
    for episode in np.unique(frames.episode):
        own = frames.episode == episode
        index = np.array([place.index for place in frames.places])[own]
        assert set(index[early[own]]) == {i for i in index if i < index.max() / 2}


def test_what_the_operator_overruled_is_learned_from_a_known_classifier(
    shown: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, better = tmp_path / "c.safetensors", tmp_path / "better.safetensors"
    options = ["--updates", "60", "--batch-size", "32", "--reduce", "1", "--learning-rate", "3e-3"]
    main([str(shown), "--out", str(out), *options])
    run = tmp_path / "run"
    for number in range(4):  # judged a success, and overruled afterwards
        episode = make_episode(200 + number, Outcome.SUCCESS)
        stamp = episode.steps[-1].observation.stamp
        write(run, episode, ((stamp, Event.FAILURE),) if number % 2 else ())
    frames = read_frames(labelled(run), 1)
    assert frames.overruled.sum() == 2 * LAST
    assert set(frames.label[frames.overruled]) == {Label.FAILURE}
    main([str(shown), str(run), "--out", str(better), "--continue", str(out), *options[:4]])
    assert "accuracy" in capsys.readouterr().out.splitlines()[-1]
    report = better.with_name("better-report")
    assert {path.name for path in report.iterdir()} == {
        "report.html", "report.json", "worst_frames.png", "precision_recall.png",
        "probabilities.png",
    }  # fmt: skip


def by_hand(*labels: tuple[int, int, Label]) -> list[FrameLabel]:
    """Labels of (episode, frame)."""
    return [FrameLabel(f"episodes/{e:06d}", index, label, By.HAND) for e, index, label in labels]


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([], "has no labels"),
        (by_hand((99, 0, Label.SUCCESS)), "episodes/000099, which is not there"),
        (by_hand((0, 99, Label.SUCCESS)), "frame 99, which is not there"),
        (by_hand((0, 0, Label.NEITHER), (1, 0, Label.NEITHER)), "hold no SUCCESS"),
        (by_hand((0, 0, Label.NEITHER), (0, 1, Label.SUCCESS)), "of one episode"),
    ],
)
def test_labels_that_do_not_do_are_refused_in_one_line(
    labels: list[FrameLabel], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = shown_run(tmp_path / "run", 2)
    append_labels(run, labels)
    with pytest.raises(SystemExit) as ended:
        main([str(run), "--out", str(tmp_path / "c.safetensors"), "--reduce", "1"])
    assert ended.value.code == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / "c.safetensors").exists()


def test_runs_of_other_cameras_or_numbers_that_are_none_are_refused(tmp_path: Path) -> None:
    one, two, three = (tmp_path / name for name in ("one", "two", "three"))
    write(one, make_episode(0, Outcome.SUCCESS))
    write(two, make_episode(0, Outcome.SUCCESS, images=1))
    blind = make_episode(0, Outcome.SUCCESS)
    blind.steps[0].observation.state[0] = np.nan
    write(three, dataclasses.replace(blind))
    for run in (one, two, three):
        labelled(run, 1)
    with pytest.raises(UserError, match="same robot and cameras"):
        join([read_frames(one, 1), read_frames(two, 1)])
    with pytest.raises(UserError, match="frame 0 holds a number that is not finite"):
        read_frames(three, 1)


def test_a_damaged_file_is_named(tmp_path: Path, shown: Path) -> None:
    path = tmp_path / "c.safetensors"
    with pytest.raises(UserError, match="No such file"):
        load_classifier(path)
    path.write_bytes(b"12345678garbage")
    with pytest.raises(UserError, match="damaged"):
        load_classifier(path)
