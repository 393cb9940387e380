"""Judges the PostgreSQL that a node would use; pure."""

from dataclasses import dataclass

from qvdnode.cli.doctor_finding import Finding, error, ok

SUBJECT = "PostgreSQL"


@dataclass(frozen=True, slots=True)
class PostgresFacts:
    """The server that `database.dsn` names, or the programs of the embedded one."""

    own: bool
    """Whether a DSN is set."""
    version: str | None
    """None when there is none, or none that can be used."""
    refusal: str | None = None
    """What each host of the DSN said."""


def postgres(facts: PostgresFacts) -> Finding:
    """Whether there is one."""
    if facts.version is not None:
        return ok(SUBJECT, f"{'Yours' if facts.own else 'Embedded'}, version {facts.version}")
    if facts.own:
        return error(
            SUBJECT,
            f"No host of database.dsn can be written to: {facts.refusal}",
            "Start the database, or mend database.dsn.",
        )
    return error(SUBJECT, "The embedded one is not installed", "Run: make setup")
