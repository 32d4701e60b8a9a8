"""`Ocr` by rapidocr, whose weights come with its package; nothing is downloaded."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from knowhow.errors import ConfigProblem
from knowhow.types import OcrLine

if TYPE_CHECKING:
    from rapidocr import RapidOCR

Area = tuple[float, float, float, float]
_LOOKED_AT = 5
"""Longest lines whose direction tells that of all lines along one axis."""
_TALL = 1.5
"""Height over width from which a box holds a line that runs up or down; rapidocr turns those before reading."""


class RapidOcr:
    """One thread, models loaded at the first picture: about 2 to 6 s of processor time and 1 GB a dense page."""

    def __init__(self) -> None:
        self.name = "rapidocr"
        self._engine: RapidOCR | None = None

    def lines(self, picture: NDArray[np.uint8]) -> list[OcrLine]:
        """The lines rapidocr is sure of, each with the direction that most lines along its axis have."""
        if self._engine is None:
            self._engine = _load()
        blue_first = np.ascontiguousarray(picture[:, :, ::-1])
        found = self._engine(blue_first, use_det=True, use_cls=True, use_rec=True)
        boxes = getattr(found, "boxes", None)
        if boxes is None or not found.txts:
            return []
        areas = [(*box.min(axis=0).tolist(), *box.max(axis=0).tolist()) for box in boxes]
        tall = [y1 - y0 >= _TALL * (x1 - x0) for x0, y0, x1, y1 in areas]
        angle = {side: self._angle(blue_first, areas, tall, side) for side in set(tall)}
        return [OcrLine(text, area, angle[side]) for text, area, side in zip(found.txts, areas, tall, strict=True)]

    def _angle(self, picture: NDArray[np.uint8], areas: list[Area], tall: list[bool], side: bool) -> int:
        """The direction of lines along one axis: how the classifier of upside-down lines votes on the longest."""
        votes: Counter[str] = Counter()
        alike = [area for area, is_tall in zip(areas, tall, strict=True) if is_tall is side]
        for x0, y0, x1, y1 in sorted(alike, key=lambda a: a[0] + a[1] - a[2] - a[3])[:_LOOKED_AT]:
            crop = picture[max(0, int(y0)) : int(y1) + 1, max(0, int(x0)) : int(x1) + 1]
            crop = np.ascontiguousarray(np.rot90(crop)) if side else crop
            assert self._engine is not None
            said: Any = self._engine(crop, use_det=False, use_cls=True, use_rec=False)
            votes.update(label for label, _ in said.cls_res)
        upside_down = votes["180"] > votes["0"]
        return (270 if upside_down else 90) if side else (180 if upside_down else 0)


def _load() -> RapidOCR:
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
