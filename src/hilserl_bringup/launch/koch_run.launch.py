"""Launches the graph koch_run."""

from launch import LaunchDescription

from hilserl_bringup.launch_description import describe


def generate_launch_description() -> LaunchDescription:
    return describe("koch_run")
