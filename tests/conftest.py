"""What all tests share: how hypothesis behaves here."""

from hypothesis import HealthCheck, settings

# A shared machine stalls now and then, which says nothing about the code under test.
settings.register_profile(
    "shared", deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("shared")
