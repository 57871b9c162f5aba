"""Launches the graph so101_record."""

from launch import LaunchDescription

from hilserl_bringup.launch_description import describe


def generate_launch_description() -> LaunchDescription:
    return describe("so101_record")
