"""`qvd image export`: a version of an image as a tar, an OCI layout or a Docker archive."""

import asyncio
from pathlib import Path
from typing import Annotated, Protocol

import typer

from qvdnode.cli.answer_tables import JsonFlag, show_json, tell
from qvdnode.cli.api_client import ApiClient
from qvdnode.cli.examples import examples
from qvdnode.cli.qvd.api_session import with_api
from qvdnode.image.oci_writing import DockerWriter, LayoutWriter, TarWriter
from qvdnode.image.tar_writing import END
from qvdnode.model.errors import HostFailed, Invalid


class Writer(Protocol):
    """Where an export goes."""

    def write(self, piece: bytes) -> None:
        """A piece of the tar."""
        ...

    def finish(self, created_at: int) -> str:
        """Put all in place; returns a digest."""
        ...

    def abandon(self) -> None:
        """Remove what was written."""
        ...


def export_command(  # noqa: PLR0913 - one parameter is one option
    image: Annotated[str, typer.Argument(help="Name of the image.")],
    *,
    revision: Annotated[
        str, typer.Option(metavar="REV", help="A version, branch, tag or commit; main if left out.")
    ] = "",
    tar: Annotated[Path | None, typer.Option("--tar", help="A tar file to write.")] = None,
    oci: Annotated[Path | None, typer.Option("--oci", help="A folder for an OCI layout.")] = None,
    docker: Annotated[
        Path | None, typer.Option("--docker", help="A file for `docker load`.")
    ] = None,
    tag: Annotated[
        str, typer.Option("--tag", help="The name in it; IMAGE:latest if left out.")
    ] = "",
    as_json: JsonFlag = False,
) -> None:
    """Write a version of an image to a file or folder that does not exist yet.

    Owners, modes, times, links, attributes and device nodes are kept; sockets are left out.
    """
    wanted = [one for one in (tar, oci, docker) if one is not None]
    if len(wanted) != 1:
        raise Invalid("Say where to write it: --tar FILE, --oci FOLDER or --docker FILE.")
    name = tag or f"{image}:latest"

    async def work(api: ApiClient) -> tuple[str, int]:
        (entry,) = (await api.get(f"/images/{image}/log", revision=revision, limit=1))["items"]
        return await _written(api, image, entry["commit"], _writer(tar, oci, docker, name))

    digest, size = with_api(work)
    row = {"image": image, "path": str(wanted[0]), "digest": digest, "bytes": size}
    if as_json:
        show_json(row)
    else:
        tell(f"{wanted[0]} has {image} now.")


def _writer(tar: Path | None, oci: Path | None, docker: Path | None, name: str) -> Writer:
    try:
        if oci is not None:
            return LayoutWriter(oci.absolute(), name.rpartition(":")[2])
        if docker is not None:
            return DockerWriter(docker.absolute(), name if ":" in name else f"{name}:latest")
        return TarWriter((tar or Path()).absolute())
    except OSError as error:
        raise HostFailed(f"{error.filename} cannot be written: {error.strerror}") from error


async def _written(api: ApiClient, image: str, commit: str, writer: Writer) -> tuple[str, int]:
    size, tail, whole = 0, b"", False
    try:
        async for piece in api.content(image, commit):
            await asyncio.to_thread(writer.write, piece)
            size += len(piece)
            tail = (tail + piece)[-len(END) :]
        if tail != END:
            raise HostFailed("The download broke off; try again.")
        digest = await asyncio.to_thread(writer.finish, 0)
        whole = True
    except OSError as error:
        raise HostFailed(f"it cannot be written: {error.strerror}") from error
    finally:
        if not whole:
            writer.abandon()
    return digest, size


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "export",
        epilog=examples(
            "qvd image export icewm --tar ./icewm.tar",
            "qvd image export icewm --revision 3 --oci ./icewm-oci",
            "qvd image export icewm --docker ./icewm.docker --tag icewm:3",
        ),
    )(export_command)
