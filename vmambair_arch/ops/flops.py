"""The scans' cost for torch's FlopCounterMode, which counts a multiply-add as two.

For each state, a step of h = exp(delta A) h + (delta u) B, y = C . h is four multiply-adds:
delta A, the new h, its input and y. Each channel adds delta u and D u and, in the plane, its step
from r numbers. The backward pass recomputes the states, and gradients flow to u, delta, A, B and C:
three times as many. Exponentials, softplus and sums are not counted; nor does torch count them.
"""

import math

import torch
from torch.utils.flop_counter import register_flop_formula

from . import channel, planar, selective  # noqa: F401  # they register the operators

PER_STATE, PER_CHANNEL = 4, 2
BACKWARD = 3  # times the forward
PUBLISHED_PER_STATE = 9  # by VMamba's count, which papers' tables add to multiply-adds
SCANS = (torch.ops.vmambair.planar_scan, torch.ops.vmambair.selective_scan)


@register_flop_formula(torch.ops.vmambair.planar_scan)
def _planar(x, projection, delta_weight, delta_bias, A, D, *_, **__) -> int:
    b, h, w, d = x
    k, _, r = delta_weight
    return 2 * b * h * w * k * d * (PER_STATE * A[-1] + PER_CHANNEL + r)


@register_flop_formula(torch.ops.vmambair.selective_scan)
def _selective(u, delta, A, *_, **__) -> int:
    b, d, length = u
    return 2 * b * d * length * (PER_STATE * A[-1] + PER_CHANNEL)


@register_flop_formula(torch.ops.vmambair.channel_scan)
def _channel(sequence, projection, delta_weight, delta_bias, A, *_, **__) -> int:
    b, d, length = sequence
    products = b * length * d * (math.prod(projection[:2]) + math.prod(delta_weight[::2]))
    return 2 * products + 2 * _selective(sequence, None, A)


@register_flop_formula(torch.ops.vmambair.planar_scan_backward)
def _planar_backward(dy, *forward, **__) -> int:
    return BACKWARD * _planar(*forward)


@register_flop_formula(torch.ops.vmambair.selective_scan_backward)
def _selective_backward(dy, *forward, **__) -> int:
    return BACKWARD * _selective(*forward)


def published_planar(x, projection, delta_weight, delta_bias, A, D, *_, **__) -> int:
    """What VMamba's code counts: 9 per state, 1 for D u, and the step's product."""
    b, h, w, d = x
    k, _, r = delta_weight
    return b * h * w * k * d * (PUBLISHED_PER_STATE * A[-1] + 1 + r)


def published_selective(u, delta, A, *_, **__) -> int:
    """The same for one sequence: 9 per state, and 1 for D u."""
    b, d, length = u
    return b * d * length * (PUBLISHED_PER_STATE * A[-1] + 1)


PUBLISHED = dict(zip(SCANS, (published_planar, published_selective), strict=True))
