"""Project ids of roots and homes."""

from qvdnode.image.core.quota_projects import QuotaProjects
from qvdnode.model.ids import UserId, VmId


def test_no_two_roots_or_homes_share_a_project() -> None:
    projects = QuotaProjects(1_000)
    numbers = range(1, 100)
    roots = {projects.of_root(VmId(number)) for number in numbers}
    homes = {projects.of_home(UserId(number)) for number in numbers}
    assert len(roots | homes) == 2 * len(numbers)
    assert (min(roots), min(homes)) == (1_002, 1_003)
