import math

import pytest

from hilserl_core.step import Outcome, Phase
from hilserl_policy.parameters import PolicyParameters
from hilserl_policy.schedule import EpisodeSummary, Schedule


def parameters(**changes):
    defaults = {"demos": 2, "train_minutes": 10.0, "evaluation_episodes": 10, "target_success": 0.9}
    return PolicyParameters(**{**defaults, **changes})


def episode(schedule, success=True, steps=30, human=0, duration=3.0, wall=0.5, outcome=None):
    if outcome is None:
        outcome = Outcome.SUCCESS if success else Outcome.TIMEOUT
    return EpisodeSummary(int(schedule.phase), 0, int(outcome), steps, human, duration, wall)


def run(schedule, count, **kwargs):
    for _ in range(count):
        schedule.ended(episode(schedule, **kwargs))


def in_training(**changes):
    schedule = Schedule(parameters(**changes))
    run(schedule, 2, duration=7.0)
    assert schedule.phase == Phase.TRAIN
    return schedule


def test_training_ends_with_its_episodes_however_good_it_is():
    schedule = in_training(train_episodes=25)
    run(schedule, 24, success=False)
    assert schedule.phase == Phase.TRAIN
    run(schedule, 1, success=False)
    assert schedule.phase == Phase.EVALUATE
    run(schedule, 20, success=False)
    assert schedule.phase == Phase.DONE


def test_episodes_of_training_are_counted_across_evaluations():
    schedule = in_training(train_episodes=25)
    run(schedule, 20)
    assert schedule.phase == Phase.EVALUATE
    run(schedule, 2, success=False)
    assert schedule.phase == Phase.TRAIN
    run(schedule, 5, success=False)
    assert schedule.phase == Phase.EVALUATE


def test_only_successful_demonstrations_count():
    schedule = Schedule(parameters())
    run(schedule, 3, success=False)
    assert schedule.phase == Phase.RECORD
    run(schedule, 2)
    assert schedule.phase == Phase.TRAIN


def test_recording_ends_with_the_demonstrations():
    schedule = Schedule(parameters(mode="record"))
    run(schedule, 2)
    assert schedule.phase == Phase.DONE


def test_good_training_is_evaluated_twice_and_ends():
    schedule = in_training()
    run(schedule, 20)
    assert schedule.phase == Phase.EVALUATE
    run(schedule, 20)
    assert schedule.phase == Phase.DONE
    assert [result.success_rate for result in schedule.evaluations] == [1.0, 1.0]


@pytest.mark.parametrize(
    "kwargs", [{"success": False}, {"human": 3}, {"duration": 5.0}], ids=["fails", "helped", "slow"]
)
def test_training_that_is_not_ready_goes_on(kwargs):
    schedule = in_training()
    run(schedule, 60, **kwargs)
    assert schedule.phase == Phase.TRAIN


def test_a_hopeless_evaluation_is_given_up_and_training_goes_on():
    schedule = in_training()
    run(schedule, 20)
    run(schedule, 2, success=False)
    assert schedule.phase == Phase.TRAIN
    assert not schedule.evaluations[0].whole
    run(schedule, 19)
    assert schedule.phase == Phase.TRAIN
    run(schedule, 1)
    assert schedule.phase == Phase.EVALUATE


def test_two_in_a_row_are_asked_for():
    schedule = in_training()
    run(schedule, 20)
    run(schedule, 10)
    assert schedule.phase == Phase.EVALUATE
    run(schedule, 2, success=False)
    assert schedule.phase == Phase.TRAIN
    run(schedule, 20)
    run(schedule, 10)
    assert schedule.phase == Phase.EVALUATE


def test_at_the_limit_two_whole_evaluations_follow_whatever_comes():
    schedule = in_training(train_minutes=1.0)
    while schedule.phase == Phase.TRAIN:
        run(schedule, 1, success=False, wall=1.0)
    assert schedule.phase == Phase.EVALUATE
    run(schedule, 20, success=False, wall=1.0)
    assert schedule.train_wall <= 60  # time for both was kept
    assert schedule.phase == Phase.DONE
    assert [result.whole for result in schedule.evaluations] == [True, True]


def test_behaviour_cloning_is_only_evaluated():
    schedule = Schedule(parameters(algorithm="bc", demos=0))
    assert schedule.phase == Phase.EVALUATE
    run(schedule, 20, success=False)
    assert schedule.phase == Phase.DONE


def test_hg_dagger_trains_with_help_before_it_is_evaluated():
    schedule = in_training(algorithm="hg_dagger")
    run(schedule, 20)
    assert schedule.phase == Phase.EVALUATE
    run(schedule, 20)
    assert schedule.phase == Phase.DONE


def test_discarded_episodes_are_done_again():
    schedule = Schedule(parameters())
    run(schedule, 5, outcome=Outcome.ABORTED)
    assert schedule.phase == Phase.RECORD
    assert schedule.in_phase == 0


def test_a_run_without_end_and_one_with():
    forever = Schedule(parameters(mode="run", episodes=0))
    run(forever, 100)
    assert forever.phase == Phase.RUN
    short = Schedule(parameters(mode="run", episodes=3))
    run(short, 3)
    assert short.phase == Phase.DONE


def test_replaying_the_history_leads_to_the_same_place():
    first, history = Schedule(parameters()), []
    for number in range(45):
        summary = episode(first, success=number % 7 != 0, human=number % 3)
        history.append(summary)
        first.ended(summary)
    second = Schedule(parameters())
    for summary in history:
        second.ended(EpisodeSummary.read(summary.record()))
    assert (second.phase, second.in_phase, second.train_wall) == (
        first.phase,
        first.in_phase,
        first.train_wall,
    )


def test_time_left_is_known_only_in_training():
    schedule = Schedule(parameters())
    assert math.isnan(schedule.time_left)
    assert in_training().time_left == 600


def test_a_line_of_an_older_version_is_read():
    summary = episode(Schedule(parameters()))
    record = summary.record()
    for name in ("reward", "gripper_actions", "weights_age", "lateness"):
        del record[name]
    assert EpisodeSummary.read(record) == summary
