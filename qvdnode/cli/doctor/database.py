"""Checks the PostgreSQL that a node would use; pure."""

from dataclasses import dataclass

from qvdnode.cli.doctor.finding import Finding, error, ok, warning

SUBJECT = "PostgreSQL"


@dataclass(frozen=True, slots=True)
class PostgresFacts:
    """The server that `database.dsn` names, or the programs of the embedded one."""

    own: bool
    """Whether a DSN is set."""
    version: str | None
    """None if there is none, or it cannot be used."""
    refusal: str | None = None
    """The error of each host of the DSN."""
    superuser: bool = False
    """Whether the role of the DSN is a superuser."""
    through: str = ""
    """The node that runs the farm's database, if this host reaches it through that node."""
    serves_farm: bool = False
    """Whether other nodes use the embedded one."""


def postgres(facts: PostgresFacts) -> Finding:
    """Whether there is a PostgreSQL, and whether the node's role has more rights than needed."""
    if facts.through or facts.serves_farm:
        return warning(
            SUBJECT,
            f"Embedded in {facts.through or 'this node'}, and the whole farm uses it: without that"
            " node no desktop can start",
            "Where that matters, give the farm a database of its own (database.dsn).",
        )
    if facts.superuser:
        return warning(
            SUBJECT,
            f"Yours, version {facts.version}; the role of database.dsn is a superuser, who may "
            "read files and run programs on the database's host",
            "Name a role that owns its database and nothing else: see Database in operations.md.",
        )
    if facts.version is not None:
        return ok(SUBJECT, f"{'Yours' if facts.own else 'Embedded'}, version {facts.version}")
    if facts.own:
        return error(
            SUBJECT,
            f"No host of database.dsn can be written to: {facts.refusal}",
            "Start the database, or correct database.dsn.",
        )
    return error(SUBJECT, "The embedded one is not installed", "Run: make setup")
