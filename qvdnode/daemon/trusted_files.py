"""Certificate and key of the administrator's own: nobody else may be able to exchange them."""

from qvdnode.daemon.settings import TlsSettings
from qvdnode.host.trusted_path import Place, require
from qvdnode.model.errors import BadConfig, HostFailed


def require_certificate(settings: TlsSettings) -> None:
    """Raise BadConfig for a file that is missing, or that another user of the host controls."""
    for key, path in (("tls.certificate", settings.certificate), ("tls.key", settings.key)):
        if path is None:
            continue
        try:
            require(path, Place.FILE)
        except OSError as error:
            raise BadConfig(f"{path} cannot be read: {error.strerror}", key=key) from error
        except HostFailed as error:
            raise BadConfig(f"{path} is not used: {error}", key=key) from error
