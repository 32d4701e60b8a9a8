"""`Ocr` by rapidocr, whose weights come with its package; nothing is downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from knowhow.errors import ConfigProblem
from knowhow.types import OcrLine

Area = tuple[float, float, float, float]

_LOOKED_AT = 3
"""Longest lines that are read both ways to tell which way up the picture is."""
_TALL = 1.5
"""Height over width from which a box holds a line that runs up or down."""
_READABLE = 0.8
"""Mean score of the lines from which a picture is the right way up; upside down it was 0.3 to 0.6."""


class RapidOcr:
    """Models are loaded at the first picture; one thread, 2 to 6 s of processor time and 1 GB a dense page."""

    def __init__(self) -> None:
        self.name = "rapidocr"
        self._engine: Any = None

    def lines(self, picture: NDArray[np.uint8]) -> list[OcrLine]:
        """The lines rapidocr is sure of. What runs at right angles to most of them has the angle beside theirs."""
        if self._engine is None:
            self._engine = _load()
        upright = np.ascontiguousarray(picture[:, :, ::-1])
        areas, texts, scores = self._read(upright)
        quarters = self._quarters(upright, areas, scores) if areas else 0
        if quarters:
            upright = np.ascontiguousarray(np.rot90(upright, quarters))
            areas, texts, _ = self._read(upright)
        height, width = picture.shape[:2]
        return [
            OcrLine(text, _turned_back(area, quarters, width, height), (90 * quarters + 90 * _is_tall(area)) % 360)
            for text, area in zip(texts, areas, strict=True)
        ]

    def _read(self, picture: NDArray[np.uint8]) -> tuple[list[Area], list[str], list[float]]:
        found = self._engine(picture, use_det=True, use_cls=False, use_rec=True)
        if getattr(found, "boxes", None) is None or not found.txts:
            return [], [], []
        areas = [(*box.min(axis=0).tolist(), *box.max(axis=0).tolist()) for box in found.boxes]
        return areas, list(found.txts), list(found.scores)

    def _quarters(self, picture: NDArray[np.uint8], areas: list[Area], scores: list[float]) -> int:
        """Quarter turns, counterclockwise, after which most lines read from left to right."""
        tall = sum(_length(a) for a in areas if _is_tall(a)) * 2 > sum(map(_length, areas))
        if not tall and float(np.mean(scores)) >= _READABLE:
            return 0
        longest = sorted((a for a in areas if _is_tall(a) == tall), key=_length, reverse=True)[:_LOOKED_AT]
        ways = (1, 3) if tall else (0, 2)
        return max(ways, key=lambda turns: sum(self._score(picture, area, turns) for area in longest))

    def _score(self, picture: NDArray[np.uint8], area: Area, turns: int) -> float:
        """How sure rapidocr is of one line, read after so many quarter turns."""
        x0, y0, x1, y1 = (max(0, int(edge)) for edge in area)
        crop = np.ascontiguousarray(np.rot90(picture[y0 : y1 + 1, x0 : x1 + 1], turns))
        found = self._engine(crop, use_det=False, use_cls=False, use_rec=True)
        return float(np.mean(found.scores)) if found.scores else 0.0


def _is_tall(area: Area) -> bool:
    return area[3] - area[1] >= _TALL * (area[2] - area[0])


def _length(area: Area) -> float:
    return max(area[2] - area[0], area[3] - area[1])


def _turned_back(area: Area, quarters: int, width: int, height: int) -> Area:
    """A box of the turned picture in the picture of `width` × `height` that was given."""
    x0, y0, x1, y1 = area
    if quarters == 1:
        return width - y1, x0, width - y0, x1
    if quarters == 2:
        return width - x1, height - y1, width - x0, height - y0
    if quarters == 3:
        return y0, height - x1, y1, height - x0
    return area


def _load() -> Any:
    import cv2
    import rapidocr

    cv2.setNumThreads(1)
    folder = Path(rapidocr.__file__).parent / "models"
    weights = {part: sorted(folder.glob(f"*_{part.lower()}_*.onnx")) for part in ("Det", "Cls", "Rec")}
    if not all(weights.values()):
        raise ConfigProblem(f"rapidocr came without its weights ({folder}); pip install --force-reinstall rapidocr")
    return rapidocr.RapidOCR(
        params={
            **{f"{part}.model_path": str(paths[0]) for part, paths in weights.items()},
            "Global.log_level": "critical",
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            # Lines of different lengths padded to one batch cost more than they save on a processor.
            "Rec.rec_batch_num": 1,
        }
    )
