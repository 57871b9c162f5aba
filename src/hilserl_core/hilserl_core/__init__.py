"""The domain of HIL-SERL: specs, steps, episodes, runs; and, one module each, its ROS side."""
