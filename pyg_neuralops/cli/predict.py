"""``pyg-neuralops predict``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from ..recipe import Accelerator, Count
from ..typed import Range
from .options import said


@dataclass(frozen=True)
class Predict:
    """Predictions of a trained model for the samples of a file; fields y need not be there."""

    checkpoint: str
    """A model's file, such as runs/train/best.safetensors."""
    input: str
    """An .h5 file of samples."""
    output: str
    """The .h5 file to write: the same samples, cells and inputs, with the prediction as y."""
    picture: str | None = None
    """Also draw one sample, to this .png (or .pdf, .svg) file."""
    sample: Annotated[int, Range(0)] = 0
    """Which sample to draw."""
    batch_size: Count = 8
    """Samples in a batch."""
    accelerator: Accelerator = "auto"
    """Where to compute."""
    overwrite: bool = False
    """Replace an output file that is there."""
    trust_import: bool = False
    """Allow the checkpoint to name a class of your own, which is then imported."""

    def run(self) -> None:
        from ..study.predict import predict_file

        errors = predict_file(
            self.checkpoint,
            self.input,
            self.output,
            picture=self.picture,
            sample=self.sample,
            batch_size=self.batch_size,
            accelerator=self.accelerator,
            overwrite=self.overwrite,
            trust_import=self.trust_import,
        )
        print(f"predictions: {self.output}" + (f", picture: {self.picture}" if self.picture else ""))
        if errors is not None:
            print(f"the input has y; {said(errors)}")
