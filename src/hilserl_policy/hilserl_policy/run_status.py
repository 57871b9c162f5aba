"""How a run stands, as a message."""

from __future__ import annotations

from hilserl_msgs.msg import RunStatus
from hilserl_policy.progress import RunProgress
from hilserl_policy.schedule import intervention_rate, success_rate


def run_status(progress: RunProgress, in_episode: bool, message: str) -> RunStatus:
    """What the schedule knows; task, policy and pace are the caller's to fill in."""
    schedule = progress.schedule
    return RunStatus(
        run=progress.directory.path.name,
        phase=int(schedule.phase),
        in_episode=in_episode,
        episode=progress.number(schedule.phase),
        episodes_in_phase=schedule.in_phase,
        episodes_of_phase=schedule.planned,
        steps=schedule.steps,
        success_rate=float(success_rate(schedule.recent)),
        intervention_rate=float(intervention_rate(schedule.recent)),
        time_left=float(schedule.time_left),
        last_outcome=progress.last_outcome,
        message=message,
    )
