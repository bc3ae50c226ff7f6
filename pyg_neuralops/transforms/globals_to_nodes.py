"""``GlobalsToNodes``: global parameters as node features."""

from __future__ import annotations

import torch
from torch_geometric.data import Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform


@functional_transform("globals_to_nodes")
class GlobalsToNodes(BaseTransform):
    """Append ``theta [B, P]`` to ``x [N, F]`` at every node, giving ``[N, F + P]``, and remove ``theta``.

    Data without ``theta`` pass unchanged.
    """

    def forward(self, data: Data) -> Data:
        if data.get("theta") is None:
            return data
        batch = data.get("batch")
        at_nodes = data.theta.expand(data.num_nodes, -1) if batch is None else data.theta[batch]
        data.x = at_nodes.clone() if data.get("x") is None else torch.cat([data.x, at_nodes], 1)
        del data.theta
        return data
