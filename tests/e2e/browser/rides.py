"""Rides brought in as files, for tests of what the page shows of them."""

from typing import Any

from playwright.async_api import Page


async def import_file(page: Page, name: str, content: bytes) -> None:
    files: Any = {"name": name, "mimeType": "application/gpx+xml", "buffer": content}
    await page.get_by_label("GPX files").set_input_files(files)


def gpx_of(points: int) -> str:
    """A ride of a point a second, straight east."""
    moments = (f"2026-05-17T{9 + at // 3600:02}:{at // 60 % 60:02}:{at % 60:02}Z" for at in range(points))
    lines = "".join(
        f'<trkpt lat="46.5" lon="{10.4 + at * 0.0002:.6f}"><ele>{700 + at % 50}</ele><time>{moment}</time></trkpt>\n'
        for at, moment in enumerate(moments)
    )
    return f'<gpx xmlns="http://www.topografix.com/GPX/1/1" version="1.1"><trk><trkseg>{lines}</trkseg></trk></gpx>'
