"""Groups of one mirror in the plane, for problems that know one direction."""

from __future__ import annotations

import torch

MIRROR_X = torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[-1.0, 0.0], [0.0, 1.0]]])
"""The identity, and x to -x. ``[2, 2, 2]``"""
MIRROR_Y = torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, -1.0]]])
"""The identity, and y to -y. ``[2, 2, 2]``"""
