"""Launches the graph gym_train."""

from launch import LaunchDescription

from hilserl_bringup.launch_description import describe


def generate_launch_description() -> LaunchDescription:
    return describe("gym_train")
