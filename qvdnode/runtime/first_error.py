"""What went wrong first, out of the groups that tasks put around their errors."""

from qvdnode.model.errors import FarmError


def first_farm_error(group: BaseExceptionGroup[BaseException]) -> FarmError | None:
    """What a person can be told: what went wrong before the others were cancelled.

    None when nothing in the group is an error of the farm's: then it is a bug, and stays a group.
    """
    error: BaseException | None = group.subgroup(FarmError)
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error if isinstance(error, FarmError) else None
