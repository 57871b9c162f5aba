"""The scripted person: competent when helping, human when demonstrating, idle when not needed."""

from __future__ import annotations

import numpy as np
import pytest

from hilserl_core.errors import UserError
from hilserl_core.step import Event, Phase
from hilserl_description.action_mapping import ActionMapping
from hilserl_description.arm_model import CONTROL_PERIOD, GRIPPER, ArmModel, action_spec
from hilserl_description.kinematics import ForwardKinematics
from hilserl_description.models import KOCH, SO101
from hilserl_description.scenes import TASKS
from hilserl_sim.hand import DEMONSTRATING, SKILLED, Sight, Style
from hilserl_sim.operator import Habits, Progress, ScriptedOperator
from hilserl_sim.scripted import ScriptedMotion
from hilserl_sim.world import World

SPEC = action_spec()


class Bench:
    """A world without ROS, for one episode after another."""

    def __init__(self, task: str = "lift_cube", arm: ArmModel = KOCH) -> None:
        self.task, self.arm = task, arm
        self.world, self.mapping = World(task, arm=arm), ActionMapping(SPEC, arm)
        self.forward = ForwardKinematics(arm)

    def reset(self, seed: int, region: str = "whole") -> None:
        self.world.reset(seed, region)
        self.mapping.reset(self.world.start)

    def sight(self) -> Sight:
        last = self.mapping.last
        return Sight(
            self.world.joint_position,
            self.world.tool_position,
            self.forward.position(last),
            float(last[GRIPPER]),
            self.world.object_position,
            self.world.peg,
            self.arm,
        )

    def step(self, values: np.ndarray) -> bool:
        self.world.step(self.mapping.command(values))
        return self.world.success


def perform(
    bench: Bench, seed: int, style: Style, region: str, seconds: float = 10.0
) -> float | None:
    """Seconds to success, or None."""
    bench.reset(seed, region)
    motion = ScriptedMotion(bench.task, SPEC, style, np.random.default_rng(seed))
    for tick in range(round(seconds / CONTROL_PERIOD)):
        if bench.step(motion.act(bench.sight())):
            return (tick + 1) * CONTROL_PERIOD
    return None


def test_skilled_lifting_nearly_always_succeeds_and_is_quick():
    bench = Bench()
    times = [perform(bench, seed, SKILLED, "whole") for seed in range(60)]
    done = [t for t in times if t is not None]
    assert len(done) >= 59
    assert np.median(done) < 3.0


def test_demonstrations_are_slow_varied_and_mostly_succeed():
    bench = Bench()
    times = [perform(bench, seed, DEMONSTRATING, "left") for seed in range(40)]
    done = [t for t in times if t is not None]
    assert len(done) >= 35
    assert 5.5 < np.median(done) < 9.0
    assert np.std(done) > 0.8


@pytest.mark.parametrize(
    ("task", "usual"),
    [("reach", 2.0), ("push_cube", 3.0), ("pick_place", 3.5), ("insert_peg", 2.0)],
)
def test_a_skilled_person_does_every_task(task, usual):
    bench = Bench(task)
    times = [perform(bench, seed, SKILLED, "whole") for seed in range(15)]
    assert None not in times
    assert np.median(times) < usual


@pytest.mark.parametrize("task", ["push_cube", "pick_place", "insert_peg"])
def test_every_task_is_demonstrated_slowly_and_mostly_with_success(task):
    bench = Bench(task)
    times = [perform(bench, seed, DEMONSTRATING, "left", 20.0) for seed in range(12)]
    done = [t for t in times if t is not None]
    assert len(done) >= 10
    assert np.median(done) > 5.0


@pytest.mark.parametrize("task", TASKS)
def test_an_so101_is_driven_as_a_koch_is(task):
    bench = Bench(task, SO101)
    helped = [perform(bench, seed, SKILLED, "whole") for seed in range(8)]
    assert None not in helped
    assert np.median(helped) < 3.5
    shown = [perform(bench, seed, DEMONSTRATING, "left", 20.0) for seed in range(5)]
    assert sum(seconds is not None for seconds in shown) >= 4


def test_a_cube_that_slid_off_the_line_is_pushed_again():
    bench = Bench("push_cube")
    bench.reset(3)
    motion = ScriptedMotion("push_cube", SPEC, SKILLED, np.random.default_rng(0))
    for _ in range(12):
        bench.step(motion.act(bench.sight()))
    bench.world.data.qpos[6] = -bench.world.data.qpos[6] - 0.05
    assert any(bench.step(motion.act(bench.sight())) for _ in range(60))


def test_a_cube_that_slipped_is_grasped_again_and_placed():
    bench = Bench("pick_place")
    bench.reset(3)
    motion = ScriptedMotion("pick_place", SPEC, SKILLED, np.random.default_rng(0))
    while not (bench.sight().grasped and bench.sight().height > 0.01):
        bench.step(motion.act(bench.sight()))
    bench.world.data.qpos[6:9] = (0.05, 0.15, 0.015)
    assert any(bench.step(motion.act(bench.sight())) for _ in range(60))


@pytest.mark.parametrize("task", TASKS)
def test_progress_is_seen_while_a_task_gets_on_and_only_then(task):
    bench, progress = Bench(task), Progress(task, Habits.progress)
    for seed in range(4):
        bench.reset(seed)
        progress.restart()
        motion = ScriptedMotion(task, SPEC, SKILLED, np.random.default_rng(seed))
        stalled = 0.0
        while not bench.step(motion.act(bench.sight())):
            stalled = max(stalled, progress.see(bench.sight()))
        assert stalled < Habits.patience
        bench.reset(seed)
        progress.restart()
        for _ in range(20):
            bench.world.step(bench.world.start)
            stalled = progress.see(bench.sight())
        assert stalled >= Habits.patience


def training_episode(
    bench: Bench, person: ScriptedOperator, seed: int, skill: float
) -> tuple[int, int]:
    """One episode with a policy that knows the task with probability ``skill``.

    Returns:
        Ticks, and ticks on which the person drove.
    """
    bench.reset(seed)
    person.begin(Phase.TRAIN, seed)
    rng = np.random.default_rng([seed, 1])
    policy = ScriptedMotion("lift_cube", SPEC, SKILLED, rng)
    able = rng.random() < skill
    driving, helped, ticks = False, 0, 0
    for _ in range(100):
        ticks += 1
        sight = bench.sight()
        values = policy.act(sight) if able else rng.uniform(-1, 1, 4)
        decision = person.tick(sight, driving)
        if driving:
            values, helped = decision.values, helped + 1
        if decision.event is not None:
            driving = decision.event == Event.TAKEOVER
        if bench.step(values):
            break
    return ticks, helped


def share_of_help(skill: float, habits: Habits) -> float:
    bench = Bench()
    person = ScriptedOperator("lift_cube", SPEC, 0, DEMONSTRATING, SKILLED, habits)
    episodes = []
    for seed in range(12):
        episodes.append(training_episode(bench, person, seed, skill))
        # The last tick's success ends the episode: the person lets go as soon as it is seen.
        person.tick(bench.sight(), False)
    ticks, helped = zip(*episodes, strict=True)
    return sum(helped) / sum(ticks)


@pytest.mark.parametrize("release", ["done", "grasped"])
def test_help_falls_with_the_policys_success(release):
    shares = [share_of_help(skill, Habits(release=release)) for skill in (0.0, 0.6, 1.0)]
    assert shares[0] > 0.15
    assert shares[0] > shares[1] > shares[2]
    assert shares[2] == 0.0


def test_patience_delays_help():
    bench = Bench()
    first = []
    for patience in (1.0, 3.0):
        habits = Habits(patience=patience, hesitation=0.0)
        person = ScriptedOperator("lift_cube", SPEC, 0, DEMONSTRATING, SKILLED, habits)
        bench.reset(0)
        person.begin(Phase.TRAIN, 0)
        for tick in range(60):
            if person.tick(bench.sight(), False).event == Event.TAKEOVER:
                first.append(tick * CONTROL_PERIOD)
                break
            bench.step(np.zeros(4))
    assert first == pytest.approx([1.3, 3.3], abs=0.11)


@pytest.mark.parametrize("phase", [Phase.EVALUATE, Phase.RUN])
def test_no_help_outside_training(phase):
    bench = Bench()
    person = ScriptedOperator("lift_cube", SPEC, 0, DEMONSTRATING, SKILLED, Habits())
    bench.reset(0)
    person.begin(phase, 0)
    for _ in range(80):
        decision = person.tick(bench.sight(), False)
        assert decision.event is None
        assert not decision.values.any()
        bench.step(np.zeros(4))


def test_recording_takes_the_arm_once_and_gives_it_back_with_the_phase():
    bench = Bench()
    person = ScriptedOperator("lift_cube", SPEC, 0, DEMONSTRATING, SKILLED, Habits())
    events, driving = [], False
    for phase, episode in ((Phase.RECORD, 0), (Phase.RECORD, 1), (Phase.EVALUATE, 0)):
        bench.reset(episode)
        person.begin(phase, episode)
        for _ in range(20):
            decision = person.tick(bench.sight(), driving)
            if decision.event is not None:
                events.append((phase, decision.event))
                driving = decision.event == Event.TAKEOVER
            bench.step(decision.values)
    assert events == [(Phase.RECORD, Event.TAKEOVER), (Phase.EVALUATE, Event.RELEASE)]


def test_a_lost_arm_is_asked_for_again():
    bench = Bench()
    person = ScriptedOperator("lift_cube", SPEC, 0, DEMONSTRATING, SKILLED, Habits())
    bench.reset(0)
    person.begin(Phase.RECORD, 0)
    sight = bench.sight()
    assert person.tick(sight, False).event == Event.TAKEOVER
    assert person.tick(sight, True).event is None
    later = [person.tick(sight, False).event for _ in range(5)]  # The mux has restarted.
    assert later.count(Event.TAKEOVER) == 1


def test_the_same_seed_and_episode_act_the_same_whatever_came_before():
    bench = Bench()
    bench.reset(5, "left")
    sight = bench.sight()

    def actions(earlier: int) -> np.ndarray:
        person = ScriptedOperator("lift_cube", SPEC, 7, DEMONSTRATING, SKILLED, Habits())
        for episode in range(earlier):
            person.begin(Phase.RECORD, episode)
            person.tick(sight, False)
        person.begin(Phase.RECORD, 5)
        return np.array([person.tick(sight, True).values for _ in range(20)])

    assert (actions(0) == actions(3)).all()


def test_a_task_that_the_person_cannot_do_is_refused():
    with pytest.raises(UserError, match=r"juggle.*lift_cube"):
        ScriptedOperator("juggle", SPEC, 0, DEMONSTRATING, SKILLED, Habits())


def shown_episode(bench: Bench, person: ScriptedOperator, seed: int) -> tuple[Event | None, int]:
    """A demonstration that only the person's word ends.

    Returns:
        The word, and for how many ticks the task had been done when it came.
    """
    bench.reset(seed)
    person.begin(Phase.RECORD, seed)
    driving, done = False, 0
    for _ in range(200):
        decision = person.tick(bench.sight(), driving)
        if decision.event in (Event.SUCCESS, Event.FAILURE):
            return decision.event, done
        driving = driving or decision.event == Event.TAKEOVER
        done += bench.step(decision.values)
    return None, done


def test_a_person_says_success_once_they_have_seen_it_and_only_if_asked():
    bench = Bench()
    for words, expected in (("demonstrations", Event.SUCCESS), ("never", None)):
        person = ScriptedOperator(
            "lift_cube", SPEC, 0, SKILLED, SKILLED, Habits(words=words, reaction=0.3)
        )
        word, done = shown_episode(bench, person, 3)
        assert word == expected
        assert done >= 3


@pytest.mark.parametrize("task", TASKS)
def test_a_task_spoiled_on_purpose_ends_with_the_word_failure_or_was_done_after_all(task):
    bench = Bench(task)
    habits = Habits(words="demonstrations", failures=1.0)
    person = ScriptedOperator(task, SPEC, 0, DEMONSTRATING, SKILLED, habits)
    words = [shown_episode(bench, person, seed) for seed in range(6)]
    assert all(word is not None for word, _ in words)
    assert all((word == Event.SUCCESS) == (done > 0) for word, done in words)
    assert sum(word == Event.FAILURE for word, _ in words) >= 3


def test_a_person_discards_what_was_done_for_too_short_a_time_to_say_so():
    bench = Bench()
    habits = Habits(words="demonstrations", reaction=0.5)
    person = ScriptedOperator("lift_cube", SPEC, 0, SKILLED, SKILLED, habits)
    bench.reset(3)
    person.begin(Phase.RECORD, 3)
    while not bench.step(person.tick(bench.sight(), True).values):
        pass
    high = person.tick(bench.sight(), True)
    assert high.event is None, "not yet sure"
    bench.reset(3)  # The cube lies on the table again.
    words = [person.tick(bench.sight(), True).event for _ in range(30)]
    assert words[0] == Event.DISCARD
    assert set(words) == {None, Event.DISCARD}


def test_a_person_denies_a_success_that_was_none():
    bench = Bench()
    person = ScriptedOperator("lift_cube", SPEC, 0, SKILLED, SKILLED, Habits())
    bench.reset(0)
    person.begin(Phase.TRAIN, 0)
    person.tick(bench.sight(), False)
    assert person.overrules()
    person.begin(Phase.RECORD, 0)
    while not bench.step(person.tick(bench.sight(), True).values):
        pass
    person.tick(bench.sight(), True)
    assert not person.overrules()
