# Source this (bash) for a shell in which the wheels' ROS 2 and this workspace are found.
# Where a full ROS 2 is sourced, source install/setup.bash instead, as usual.
HILSERL_ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
export HILSERL_ROOT
export PATH="$HILSERL_ROOT/scripts:$HILSERL_ROOT/.venv/bin:$PATH"
export AMENT_PREFIX_PATH="$HILSERL_ROOT/.venv" CMAKE_PREFIX_PATH="$HILSERL_ROOT/.venv"
# The wheels' libraries lie in .venv/lib, and what they bundle in ros_*.libs folders.
LD_LIBRARY_PATH="$HILSERL_ROOT/.venv/lib$(printf ':%s' "$HILSERL_ROOT"/.venv/lib/python3*/site-packages/ros_*.libs)"
export LD_LIBRARY_PATH
# The wheels would otherwise set LD_LIBRARY_PATH by running each Python twice.
export _ROS_WHEELS_BOOTSTRAP_COMPLETE=1
export ROS_AUTOMATIC_DISCOVERY_RANGE="${ROS_AUTOMATIC_DISCOVERY_RANGE:-LOCALHOST}"
export RMW_IMPLEMENTATION=rmw_fastrtps_cpp
export MUJOCO_GL="${MUJOCO_GL:-egl}"
if [ -f "$HILSERL_ROOT/install/setup.bash" ]; then
  # shellcheck disable=SC1091
  . "$HILSERL_ROOT/install/setup.bash"
fi
