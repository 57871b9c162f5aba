#!/usr/bin/env bash
# Becomes the command given, with ROS 2 and this workspace found.
set -e
source /opt/ros/jazzy/setup.bash
source /hilserl/install/setup.bash
exec "$@"
