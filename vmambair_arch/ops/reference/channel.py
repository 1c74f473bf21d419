"""The scan of a sequence in two directions, as the network composes it."""

import torch
from torch import Tensor

from . import selective


def forward(sequence, projection, delta_weight, delta_bias, A, D) -> Tensor:
    """Return (b, d, length); the tensors are those of ``ops.channel.channel_scan``."""
    r, n = delta_weight.shape[2], A.shape[2]
    u = torch.stack([sequence, sequence.flip(-1)], 1)  # (b, 2, d, length)
    step, B, C = torch.einsum("bkdl,kpd->bkpl", u, projection).split([r, n, n], 2)
    delta = torch.einsum("bkrl,kdr->bkdl", step, delta_weight)
    parameters = A.flatten(0, 1), B, C, D.flatten(), delta_bias.flatten()
    y, _ = selective.forward(u.flatten(1, 2), delta.flatten(1, 2), *parameters, True)
    forwards, backwards = y.unflatten(1, u.shape[1:3]).unbind(1)
    return forwards + backwards.flip(-1)
