"""Names that vulture takes for unused although someone outside of the code uses them."""


class _Used:
    def __getattr__(self, name: str) -> str:
        return name


_used = _Used()

PARAMETERS_OF_PROTOCOLS = (
    _used.sentence,  # model.seat.Progress
    _used.session_id,  # session.journal.SessionRows
)
"""Of those that stand beside their only user; the ones in a ports.py are left out whole."""

TYPES_IN_QUOTES = (_used.WriteableBuffer,)  # image.tar_entries
