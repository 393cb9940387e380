"""Where homes are saved from and restored to."""

import pytest

from qvdnode.image.settings import ImageSettings
from tests.integration.image.home_backup.lab import Lab


@pytest.fixture
def lab(settings: ImageSettings) -> Lab:
    return Lab(settings)
