"""Networks, policy inference and the episode loop of HIL-SERL."""
