"""Settings of every test.

Each worker has a ROS domain of its own, and discovery stays on this machine. Of workers side by
side each computes on one thread: torch's would wait for one another. Machines are noisy, so
hypothesis puts no clock on an example.
"""

import os

from hypothesis import settings

if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    # It has the environment of the process that started it, which has read this file, too.
    os.environ["ROS_DOMAIN_ID"] = str(61 + int(worker.removeprefix("gw")))
    os.environ["OMP_NUM_THREADS"] = "1"
else:
    os.environ.setdefault("ROS_DOMAIN_ID", "60")
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"

settings.register_profile("hilserl", deadline=None)
settings.load_profile("hilserl")
