"""The graphs of nodes, and the two ways to start them: ROS 2's launch, and ``hilserl up``."""
