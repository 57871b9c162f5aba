"""The reward: labels of frames, a classifier of them, and the node that judges."""
