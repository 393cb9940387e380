"""What all tests share: fixtures of real servers and images, how hypothesis behaves here."""

import os

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.fixtures_guest", "tests.fixtures_image", "tests.fixtures_postgres"]

# As the programs do: what tests make themselves is for guests, too.
os.umask(0o022)

# A shared machine stalls now and then, which says nothing about the code under test.
ANYWHERE = settings(
    deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.register_profile("quick", ANYWHERE, max_examples=30)
settings.register_profile("whole", ANYWHERE, max_examples=100)
settings.register_profile("soak", ANYWHERE, max_examples=1_000)
settings.load_profile("quick")
