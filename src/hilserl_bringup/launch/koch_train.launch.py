"""Launches the graph koch_train."""

from hilserl_bringup.launch_description import describe
from launch import LaunchDescription


def generate_launch_description() -> LaunchDescription:
    return describe("koch_train")
