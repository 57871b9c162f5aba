"""Cameras: capture, the region of interest, and the images that the policy sees."""
