"""Settings of every test: machines are noisy, so hypothesis puts no clock on an example."""

from hypothesis import settings

settings.register_profile("hilserl", deadline=None)
settings.load_profile("hilserl")
