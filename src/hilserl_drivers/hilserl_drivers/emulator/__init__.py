"""A bus of servos that is not there: registers, motion, both protocols, and faults."""
