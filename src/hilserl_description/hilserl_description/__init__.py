"""The robot: its models, task scenes and kinematics. Free of ROS."""
