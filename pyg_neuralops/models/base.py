"""What every model is to the outside: ``prepare(data)``, ``model(data)``, ``core(x, mesh)``, ``config``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.transforms import BaseTransform

from ..data import MEASURES, Mesh, as_mesh_data, input_parts, node_inputs
from ..data.convert import FLOATS
from ..nn import MLP, Block, Positions
from ..nn.initial import copy_tensors
from ..transforms import GraphEdges, KNNPatches
from .arguments import kept_arguments


class NeuralOperator(nn.Module):
    """Base of all models. A subclass keeps its constructor's arguments as attributes of the same names.

    Outside, ``model(data) -> [N, out_channels]`` on a ``Data`` or ``Batch``; inside, ``core(x [N, F], mesh)``,
    tensors only, which is what compiles and exports. What ``core`` reads besides positions (patches, edges) is
    built by ``prepare``, once per sample and outside ``forward``; unprepared data are prepared on the fly. Samples
    go through :func:`pyg_neuralops.data.as_mesh_data` first, so a wrong one is named; batches are made of
    samples that did.
    """

    in_channels: int
    out_channels: int
    pos_dim: int
    measure: bool | str = False
    weighs: ClassVar[bool] = True
    """Whether its sums, means or softmaxes over nodes read ``mesh.weight``."""

    def set_measure(self, measure: bool | str) -> None:
        """Keep ``measure``: whether nodes count by ``data.weight`` (True), alike (False), or by weight where the data
        have it ("auto"). Models that do not read weights take no True, and "auto" changes nothing in them.

        Raises:
            ValueError: for another value, or True where nothing would change.
        """
        if measure not in MEASURES:
            raise ValueError(f"measure={measure!r}; choose from {list(MEASURES)}")
        if measure is True and not self.weighs:
            raise ValueError(
                f"measure=True; {type(self).__name__} does not count nodes by weight, choose False or 'auto'"
            )
        self.measure = measure

    @property
    def transforms(self) -> Sequence[BaseTransform]:
        """What ``prepare`` applies."""
        return ()

    @property
    def reads_edges(self) -> bool:
        """Whether ``edge_attr`` may be read: a model of this library prepares the edges that it reads."""
        is_own = type(self).__module__.partition(".")[0] != __name__.partition(".")[0]
        return is_own or any(isinstance(transform, GraphEdges) for transform in self.transforms)

    def prepare(self, data: Data) -> Data:
        """A shallow copy of ``data`` with what the model needs; what is there already is checked and kept.

        Raises:
            ValueError: if the data were prepared for other patches.
        """
        for transform in self.transforms:
            data = transform(data)
        return data

    def core(self, x: Tensor, mesh: Mesh) -> Tensor:
        """``x [N, in_channels], mesh -> [N, out_channels]``."""
        raise NotImplementedError

    def inputs(self, data: Data) -> Tensor:
        """All that the prediction depends on besides geometry, ``[N, in_channels]``: ``x``, ``theta``, and the nine
        :func:`pyg_neuralops.data.time_features` of ``time``, the last two at every node of their sample.

        Raises:
            ValueError: if that is not ``in_channels`` or the positions are not ``pos_dim``, naming the parts: nothing
                that the data hold is left out of a prediction in silence.
        """
        x, dim = node_inputs(data), data.pos.shape[1]
        if self.in_channels not in (None, x.shape[1]):
            parts = {name: value.shape[1] for name, value in input_parts(data).items()}
            here = f"{parts.get('x', 0)} channels of x, {parts.get('theta', 'no')} of theta"
            here += f", {parts['time']} of time" if "time" in parts else ", no time"
            raise ValueError(
                f"the data have {here}: {x.shape[1]} inputs; the model was built with in_channels={self.in_channels}"
            )
        if self.pos_dim not in (None, dim):
            raise ValueError(f"the data are in {dim}D; the model was built with pos_dim={self.pos_dim}")
        return x

    def forward(self, data: Data) -> Tensor:
        data = self.prepare(data if data.get("settled") else as_mesh_data(data, precision(self)))
        x = self.inputs(data)
        if len(data.pos) == 0:
            return data.pos.new_zeros(0, self.out_channels)
        return self.core(x, Mesh.from_data(data, self.measure))

    def reset_parameters(self) -> None:
        """Start anew: every parameter and buffer as the constructor makes it, in the tensors that are there.

        Raises:
            ValueError: for a model that was changed since, or whose constructor is given modules.
        """
        copy_tensors(self, type(self)(**self.config))

    @property
    def config(self) -> dict[str, Any]:
        """The constructor's keyword arguments, from which the model can be built again; patches as their settings.

        Raises:
            ValueError: for an argument that is kept under no attribute of its name.
        """
        kept = kept_arguments(self).items()
        return {name: value.to_config() if isinstance(value, KNNPatches) else value for name, value in kept}


def precision(model: nn.Module) -> torch.dtype | None:
    """What ``model`` computes in where that is float32 or float64; None leaves it to the data."""
    found = next((weight.dtype for weight in model.parameters() if weight.is_floating_point()), None)
    return found if found in FLOATS else None


class Patched:
    """Mixed into models that need patches and nothing else prepared, which they keep as ``self.patches``."""

    patches: KNNPatches

    @property
    def transforms(self) -> Sequence[BaseTransform]:
        return (self.patches,)


class BlockStack(NeuralOperator):
    """Encoder -> blocks -> decoder, the frame that all stacks of mixers share.

    Args:
        make_mixer: layer number -> mixer.
        measure: see :meth:`set_measure`.
        coords: whether the encoder sees the (scaled) positions, "reference-grid" for their distances to a grid of
            points, or "fourier" for waves beside them (:class:`Positions`); without them a model whose mixers use
            relative positions only is translation-invariant.
        ratio: hidden width of the feed-forwards over ``hidden_channels``.
        make_block: mixer -> block, where a model's blocks differ from ``Block(hidden_channels, mixer, ratio=ratio)``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        pos_dim: int,
        hidden_channels: int,
        num_layers: int,
        make_mixer: Callable[[int], nn.Module],
        coords: bool | str = True,
        ratio: float = 2,
        measure: bool | str = False,
        make_block: Callable[[nn.Module], nn.Module] | None = None,
    ):
        super().__init__()
        check_sizes(in_channels, out_channels, pos_dim, hidden_channels, num_layers)
        if in_channels == 0 and not coords:
            raise ValueError("in_channels=0 with coords=False leaves the encoder nothing to read; choose coords=True")
        self.set_measure(measure)
        self.in_channels, self.out_channels, self.pos_dim = in_channels, out_channels, pos_dim
        self.hidden_channels, self.num_layers, self.coords, self.ratio = hidden_channels, num_layers, coords, ratio
        width = hidden_channels
        self.positions = Positions(coords, pos_dim=pos_dim)
        self.encoder: nn.Module = MLP(in_channels + self.positions.channels, 2 * width, width)
        block = make_block or (lambda mixer: Block(width, mixer, ratio=ratio))
        self.blocks = nn.ModuleList(block(make_mixer(layer)) for layer in range(num_layers))
        self.decoder: nn.Module = nn.Sequential(nn.LayerNorm(width), MLP(width, width, out_channels))

    def core(self, x: Tensor, mesh: Mesh) -> Tensor:
        x = self.encode(x, mesh)
        for block in self.blocks:
            x = block(x, mesh)
        return self.decoder(x)  # [N, O]

    def encode(self, x: Tensor, mesh: Mesh) -> Tensor:
        """What the blocks start from, ``x [N, in_channels], mesh -> [N, C]``."""
        return self.encoder(torch.cat([x, self.positions(mesh.coords).to(x.dtype)], 1))


def check_sizes(in_channels: int, out_channels: int, pos_dim: int, hidden_channels: int, num_layers: int) -> None:
    """Raise unless the sizes that all models share make sense.

    Raises:
        ValueError: naming the value and what is allowed.
    """
    if pos_dim not in (1, 2, 3):
        raise ValueError(f"pos_dim={pos_dim}; choose from [1, 2, 3]")
    least = {"in_channels": (in_channels, 0), "out_channels": (out_channels, 1)}
    least |= {"hidden_channels": (hidden_channels, 1), "num_layers": (num_layers, 1)}
    for name, (value, minimum) in least.items():
        if value < minimum:
            raise ValueError(f"{name}={value}; it must be at least {minimum}")
