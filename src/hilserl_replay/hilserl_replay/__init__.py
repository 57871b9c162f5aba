"""Experience on disk and in memory: bags of episodes, the replay buffer, inspection, reports."""
