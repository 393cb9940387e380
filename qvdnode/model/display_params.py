"""What a client may ask of its display, parsed and bounded; see wire/qvd_params.py."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class DisplayParams:
    """Options of one connection. None means that the client did not say."""

    os: str | None = None
    link: str = "adsl"
    keyboard: str | None = None
    """Model and layout, such as pc105/es, and perhaps the layout's variant: pc105/us/intl."""
    geometry: str | None = None
    """Width x height in pixels, such as 1024x768."""
    fullscreen: bool = False
    timezone: str | None = None
    client_type: str | None = None
    custom: dict[str, str] = field(default_factory=dict)
    """`custom.*` of the request, handed to the guest's hooks under these names."""
