"""Makes the ROS wheels' CMake exports name this machine's folders.

The wheels export two folders of the machine they were built on: Python's include folder
and NumPy's below it. Packages of messages only build once they name ours. Writes only
inside the virtual environment that runs it; a second call changes nothing.
"""

import re
import sys
import sysconfig
from pathlib import Path

import numpy

BUILD_MACHINE_NUMPY = re.compile(
    r"/opt/python/[^/]+/lib/python3\.\d+/site-packages/numpy/\w+/include"
)
BUILD_MACHINE_PYTHON = re.compile(r"/opt/python/[^/]+/include/python3\.\d+")


def main() -> None:
    for path in Path(sys.prefix, "share").rglob("*.cmake"):
        text = path.read_text()
        fixed = BUILD_MACHINE_NUMPY.sub(numpy.get_include(), text)
        fixed = BUILD_MACHINE_PYTHON.sub(sysconfig.get_path("include"), fixed)
        if fixed != text:
            path.write_text(fixed)


if __name__ == "__main__":
    main()
