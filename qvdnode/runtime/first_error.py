"""Finds the first error in the exception groups of task groups."""

from qvdnode.model.errors import FarmError


def first_farm_error(group: BaseExceptionGroup[BaseException]) -> FarmError | None:
    """Return the first FarmError in the group, which made the other tasks be cancelled.

    None if there is none: then the group is a bug and stays as it is.
    """
    error: BaseException | None = group.subgroup(FarmError)
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error if isinstance(error, FarmError) else None
