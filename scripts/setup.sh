#!/usr/bin/env bash
# Makes .venv, installs ROS 2 from its wheels and everything else, and builds the
# workspace. A second call finds nothing to do. Called by the Makefile.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# shellcheck disable=SC1091
. scripts/progress.sh

fail() { echo "setup: $*" >&2; exit 1; }

check_machine() {
  [ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] || fail "the ROS 2 wheels are made for Linux on" \
    "x86-64, this is $(uname -s) on $(uname -m): use a full ROS 2 Jazzy there (docker/)"
  PYTHON=${PYTHON:-python3}
  command -v "$PYTHON" >/dev/null || fail "no '$PYTHON' found: install Python 3.11, 3.12 or 3.13"
  "$PYTHON" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' ||
    fail "$("$PYTHON" --version) does not fit: install Python 3.11, 3.12 or 3.13, or name it: make PYTHON=python3.11"
  "$PYTHON" -c 'import venv, ensurepip' 2>/dev/null ||
    fail "this Python cannot make virtual environments: apt install python3-venv"
  { command -v c++ || command -v g++; } >/dev/null ||
    fail "no C++ compiler found: apt install g++"
  if ! ldconfig -p 2>/dev/null | grep -q libEGL_mesa; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
      echo "setup: installing the software renderer (libegl1, libgl1-mesa-dri)"
      { apt-get update && apt-get install -y --no-install-recommends libegl1 libgl1-mesa-dri; } \
        >/dev/null 2>&1 || fail "libegl1 could not be installed: apt install libegl1 libgl1-mesa-dri"
    elif ! ldconfig -p 2>/dev/null | grep -q 'libEGL\.so\.1'; then
      fail "no EGL library found for rendering: sudo apt install libegl1 libgl1-mesa-dri"
    fi
  fi
}

# What the installed environment depends on; what the build depends on. Python sources are
# linked, not copied: changing them needs no build.
environment_hash() { cat requirements/*.txt requirements/fix_wheels.py | sha256sum; }
build_hash() {
  { environment_hash; pwd; find src -type f -not -name '*.pyc' -not -path '*/test/*' | sort
    find src \( -name package.xml -o -name 'setup.*' -o -name CMakeLists.txt -o -name '*.msg' \
      -o -name '*.srv' \) -print0 | sort -z | xargs -0 cat
    cat colcon.meta scripts/setup.sh; } | sha256sum
}

install_environment() {
  echo "setup: installing ROS 2 Jazzy, torch and the rest into .venv (a few minutes)"
  rm -rf .venv
  mkdir -p log
  "$PYTHON" -m venv .venv
  # Each package is first collected, then installed. Compiling all of them to bytecode takes
  # forty seconds, for files of which most are never imported.
  .venv/bin/pip install --disable-pip-version-check --progress-bar off --no-compile \
    -r requirements/ros-jazzy.txt -r requirements/python.txt > log/install.txt 2>&1 &
  wait_with_bar $! "setup: packages" $((2 * $(cat requirements/*.txt | grep -c ==))) installed ||
    { grep -v '^WARNING' log/install.txt | tail -20 >&2
      fail "installing failed: is the package index reachable? log/install.txt holds everything"; }
  .venv/bin/python requirements/fix_wheels.py
  environment_hash > .venv/hilserl-environment
}

installed() {
  local collected folders
  collected=$(grep -c '^Collecting' log/install.txt || true)
  folders=(.venv/lib/python3*/site-packages/*.dist-info)
  echo $((collected + ${#folders[@]}))
}
built() { grep -c '^Finished <<<' log/build.txt || true; }

build() {
  echo "setup: building the packages (about a minute)"
  mkdir -p log
  # Files of packages that are gone would still be imported.
  rm -rf install build
  set +u  # colcon's own scripts read variables that are not set.
  # shellcheck disable=SC1091
  . scripts/env.sh
  set -u
  colcon build --merge-install --symlink-install --event-handlers console_direct- \
    --cmake-args "-DPython3_EXECUTABLE=$PWD/.venv/bin/python" \
    "-DPYTHON_EXECUTABLE=$PWD/.venv/bin/python" > log/build.txt 2>&1 &
  wait_with_bar $! "setup: packages built" "$(find src -name package.xml | wc -l)" built ||
    { tail -30 log/build.txt >&2; fail "building failed: log/build.txt holds everything"; }
  import_nodes
  build_hash > install/hilserl-build
}

# So that what nodes import is compiled to bytecode once, and not by each node of the first run.
import_nodes() (
  set +u
  # shellcheck disable=SC1091
  . scripts/env.sh
  python -c "import hilserl_learner.learner_node, hilserl_sim.mujoco_node" > log/import.txt 2>&1 ||
    { tail -5 log/import.txt >&2; fail "a node cannot be imported: log/import.txt holds everything"; }
)

if [ -n "${ROS_DISTRO:-}" ]; then
  fail "ROS 2 $ROS_DISTRO is sourced: build with 'rosdep install --from-paths src -y' and" \
    "'colcon build', or open a shell without it to use the wheels"
fi
if [ "$(environment_hash)" != "$(cat .venv/hilserl-environment 2>/dev/null)" ]; then
  check_machine
  install_environment
fi
if [ "$(build_hash)" != "$(cat install/hilserl-build 2>/dev/null)" ]; then
  build
  echo "setup: done; '. scripts/env.sh' makes 'hilserl' and ROS 2 known to a shell"
fi
