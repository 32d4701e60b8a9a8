"""Pictures (PNG, JPEG, TIFF, WebP, GIF, BMP): photographs and scans of pages, read with the `ocr` extra."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from knowhow.errors import ReadProblem, UnreadableFile
from knowhow.ingest.readers import scans
from knowhow.ingest.readers.draft import Draft
from knowhow.ingest.readers.pdf_layout import blocks
from knowhow.ingest.readers.pdf_prose import add_block, vocabulary
from knowhow.types import Extract

if TYPE_CHECKING:
    from PIL.Image import Image

_INSIDE = 400
"""Pixels of the shorter side under which a picture inside another file is a logo, not a page."""
_PIXELS = 100_000_000
"""Of one frame; a larger one is refused as damaged."""


def read(name: str, data: bytes, depth: int) -> Extract:
    """The text of every frame, as of a page. Raises `UnreadableFile`: damaged, or without text that can be read."""
    if scans.reader() is None:
        raise UnreadableFile(ReadProblem.NO_TEXT, f"it is a picture; {scans.HOW} reads those")
    draft = Draft(depth=depth)
    image = _open(data)
    if depth and min(image.size) < _INSIDE:
        raise UnreadableFile(ReadProblem.NO_TEXT, f"a picture of {image.width} × {image.height} pixels, too small")
    for number, frame in enumerate(_frames(image), start=1):
        page = scans.page_of(frame, frame.shape[1], frame.shape[0])
        draft.place = replace(draft.place, page=number)
        words = vocabulary([page])
        for block in blocks(page.fragments):
            add_block(draft, block, page, None, words)
        draft.add("\n".join(page.sideways))
    draft.pictures = True
    return draft.extract(f"image/{(image.format or 'png').lower()}", PurePosixPath(name).stem)


def _open(data: bytes) -> Image:
    from PIL import Image, UnidentifiedImageError

    Image.MAX_IMAGE_PIXELS = _PIXELS
    try:
        return Image.open(BytesIO(data))
    except UnidentifiedImageError:
        raise UnreadableFile(ReadProblem.DAMAGED, "not readable as a picture") from None


def _frames(image: Image) -> Iterator[NDArray[np.uint8]]:
    """Frames, upright as the camera says, on white, no longer than `scans.LONGEST`."""
    from PIL import Image, ImageOps

    for number in range(getattr(image, "n_frames", 1) if image.format == "TIFF" else 1):
        image.seek(number)
        frame = ImageOps.exif_transpose(image).convert("RGBA")
        ground = Image.new("RGBA", frame.size, "white")
        upright = Image.alpha_composite(ground, frame).convert("RGB")
        upright.thumbnail((scans.LONGEST, scans.LONGEST))
        yield np.asarray(upright)
