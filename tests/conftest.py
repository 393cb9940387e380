"""What all tests share: fixtures of real servers and images, how hypothesis behaves here."""

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.fixtures_guest", "tests.fixtures_image", "tests.fixtures_postgres"]

# A shared machine stalls now and then, which says nothing about the code under test.
settings.register_profile(
    "shared", deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("shared")
