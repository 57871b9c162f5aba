"""Who drives the arm, and the devices with which a person does."""
