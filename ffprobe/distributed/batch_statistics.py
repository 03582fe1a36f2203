"""Batch normalization over a batch that several processes share."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ffprobe.components.process_group import ProcessGroup


class SharedBatchNorm(_BatchNorm):
    """torch's batch normalization with the statistics of the whole batch.

    torch's own ``SyncBatchNorm`` works on GPUs only, and a copy of it still waits for the other processes; a copy of
    this module is ordinary batch normalization, so that a probe can run experiments on a copy of the network.

    Args:
        original: the module to replace; its parameters and buffers are reused.
        process_group: the processes that share the batch.
    """

    def __init__(self, original: Any, process_group: ProcessGroup) -> None:
        nn.Module.__init__(self)
        self.num_features, self.eps, self.momentum = original.num_features, original.eps, original.momentum
        self.affine, self.track_running_stats = original.affine, original.track_running_stats
        self.weight, self.bias = original.weight, original.bias
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            self.register_buffer(name, getattr(original, name))
        self.process_group = process_group
        self.train(original.training)

    def _check_input_dim(self, input: torch.Tensor) -> None:
        pass  # the shape is checked when the network is built

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalize ``[B, C, ...]``; the output has the same shape."""
        if self.process_group.size == 1 or not (self.training or self.running_mean is None):
            return super().forward(x)
        y, mean, variance, count = _Normalize.apply(x, self.weight, self.bias, self.eps, self.process_group)
        seen = self.num_batches_tracked
        if self.training and self.running_mean is not None and self.running_var is not None and seen is not None:
            with torch.no_grad():
                seen.add_(1)
                # no momentum: the plain mean over all batches
                rate = 1 / seen.to(mean.dtype) if self.momentum is None else self.momentum
                self.running_mean.lerp_(mean.to(self.running_mean.dtype), rate)
                unbiased = variance * (count / (count - 1).clamp_min(1))
                self.running_var.lerp_(unbiased.to(self.running_var.dtype), rate)
        return y


class _Normalize(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: Any, bias: Any, eps: float, process_group: ProcessGroup) -> Any:
        wide = x.to(torch.float64 if x.dtype == torch.float64 else torch.float32)
        others, view = [d for d in range(x.dim()) if d != 1], [1, -1] + [1] * (x.dim() - 2)
        local_mean = wide.mean(others)
        spread = (wide - local_mean.view(view)).square().sum(others)
        rows = local_mean.new_full((1,), x.numel() / x.shape[1])
        # one all-gather: shards are combined by their means and squared deviations (Chan et al.), which loses no digits
        gathered = process_group.all_gather_stacked(torch.cat([local_mean, spread, rows]))
        channels = len(local_mean)
        means, spreads, counts = gathered[:, :channels], gathered[:, channels:-1], gathered[:, -1:]
        count = counts.sum()
        mean = (means * counts).sum(0) / count
        variance = (spreads + counts * (means - mean).square()).sum(0) / count
        scale = (variance + eps).rsqrt()
        normal = (wide - mean.view(view)) * scale.view(view)
        ctx.save_for_backward(normal, scale, count, weight)
        ctx.process_group, ctx.others, ctx.view, ctx.dtype = process_group, others, view, x.dtype
        ctx.mark_non_differentiable(mean, variance, count)
        y = normal if weight is None else normal * weight.view(view) + bias.view(view)
        return y.to(x.dtype), mean, variance, count

    @staticmethod
    def backward(ctx: Any, delta: torch.Tensor, *_: Any) -> Any:
        normal, scale, count, weight = ctx.saved_tensors
        delta = delta.to(normal.dtype)
        plain, along = delta.sum(ctx.others), (delta * normal).sum(ctx.others)
        local = along.clone(), plain.clone()  # gradients of weight and bias; the trainer's all-reduce sums them
        if not ctx.needs_input_grad[0]:  # the all-reduce serves the input alone; the case is the same in every process
            return None, *(local if weight is not None else (None, None)), None, None
        both = ctx.process_group.all_reduce_sum(torch.cat([plain, along])) / count
        plain, along = both.view(2, -1)
        back = (delta - plain.view(ctx.view) - normal * along.view(ctx.view)) * scale.view(ctx.view)
        if weight is not None:
            back = back * weight.view(ctx.view)
        return back.to(ctx.dtype), *(local if weight is not None else (None, None)), None, None


def share_statistics(module: nn.Module, process_group: ProcessGroup) -> None:
    """Replace every torch batch normalization inside ``module`` by one with the statistics of the whole batch."""
    for name, child in list(module.named_children()):
        if isinstance(child, _BatchNorm) and not isinstance(child, nn.SyncBatchNorm | SharedBatchNorm):
            setattr(module, name, SharedBatchNorm(child, process_group))
        else:
            share_statistics(child, process_group)
