"""Serves the web pages and their files, from memory."""

from typing import Final

from aiohttp import web

from qvdnode.admin.parts import PARTS
from qvdnode.model.errors import NotFound
from qvdnode.web.assets import Asset

ADMIN_PAGE: Final = "index.html"
USER_PAGE: Final = "my.html"
DESKTOP_PAGE: Final = "desktop.html"
FOR_EVER: Final = "public, max-age=31536000, immutable"
ASK_AGAIN: Final = "no-cache"
"""A browser keeps a page, and asks each time whether it is still the present one."""
PAGE_HEADERS: Final = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": (
        "clipboard-read=(self), clipboard-write=(self), fullscreen=(self), keyboard-map=(self),"
        " camera=(), geolocation=(), microphone=(), payment=(), usb=()"
    ),
}
NO_PAGE: Final = "This node was installed without its web pages; install the whole package again."
NO_FILE: Final = "There is no such file in this version of the web pages; reload the page."


def add_routes(router: web.UrlDispatcher) -> None:
    """Add the addresses of the pages and of their files."""
    router.add_get("/", _redirect)
    router.add_get("/ui", _redirect)
    router.add_get("/ui/{page:.*}", _admin_page)
    router.add_get("/my", _redirect_user)
    router.add_get("/my/", _user_page)
    router.add_get("/my/desktop", _desktop_page)
    router.add_get("/assets/{version}/{path:.+}", _file)


async def _redirect(_request: web.Request) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": "/ui/"})


async def _redirect_user(_request: web.Request) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": "/my/"})


async def _admin_page(request: web.Request) -> web.StreamResponse:
    return await _page(request, ADMIN_PAGE)


async def _user_page(request: web.Request) -> web.StreamResponse:
    return await _page(request, USER_PAGE)


async def _desktop_page(request: web.Request) -> web.StreamResponse:
    return await _page(request, DESKTOP_PAGE)


async def _page(request: web.Request, name: str) -> web.StreamResponse:
    assets = await request.app[PARTS].pages.assets()
    page = assets.files.get(name)
    if page is None or page.policy is None:
        raise NotFound(NO_PAGE)
    return _sent(request, page, {**PAGE_HEADERS, "Cache-Control": ASK_AGAIN})


async def _file(request: web.Request) -> web.StreamResponse:
    assets = await request.app[PARTS].pages.assets()
    asset = assets.files.get(request.match_info["path"])
    if request.match_info["version"] != assets.version or asset is None:
        raise NotFound(NO_FILE)
    return _sent(request, asset, {"Cache-Control": FOR_EVER})


def _sent(request: web.Request, asset: Asset, headers: dict[str, str]) -> web.StreamResponse:
    packed = asset.gzipped if _takes_gzip(request.headers.get("Accept-Encoding", "")) else None
    # One tag for each form, since a tag promises the same bytes.
    tag = f'"{asset.etag}"' if packed is None else f'"{asset.etag}-gz"'
    headers = {**headers, "ETag": tag, "Vary": "Accept-Encoding"}
    if asset.policy is not None:
        headers["Content-Security-Policy"] = asset.policy
    if tag in request.headers.get("If-None-Match", ""):
        return web.Response(status=304, headers=headers)
    headers["Content-Type"] = _content_type(asset.media)
    if packed is not None:
        headers["Content-Encoding"] = "gzip"
    return web.Response(body=asset.body if packed is None else packed, headers=headers)


def _content_type(media: str) -> str:
    is_text = media.startswith("text/") or media.endswith("json")
    return f"{media}; charset=utf-8" if is_text else media


def _takes_gzip(accepted: str) -> bool:
    """Whether the header `Accept-Encoding` allows gzip; `gzip;q=0` forbids it."""
    for entry in accepted.split(","):
        coding, _, weight = entry.partition(";")
        if coding.strip().lower() in {"gzip", "*"}:
            return weight.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False
