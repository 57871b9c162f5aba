"""Launches the graph koch_run."""

from hilserl_bringup.launch_description import describe
from launch import LaunchDescription


def generate_launch_description() -> LaunchDescription:
    return describe("koch_run")
