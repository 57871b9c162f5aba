"""Every worker has a ROS domain of its own, and discovery stays on this machine."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
os.environ.setdefault("ROS_DOMAIN_ID", str(60 + int(worker)))
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"

sys.path.insert(0, str(Path(__file__).parent))
