"""Every worker has a ROS domain of its own, and discovery stays on this machine."""

import os

worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
os.environ.setdefault("ROS_DOMAIN_ID", str(60 + int(worker)))
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
