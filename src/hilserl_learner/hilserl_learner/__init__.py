"""The learner: RLPD updates over replayed episodes, its node and its checkpoints."""
