"""The arm and its scene in simulation, and a scripted operator at its side."""
