"""Speed around the learner's pure steps: torch.compile and CUDA graphs.

A step takes a state and inputs, changes the state's tensors in place and returns a tensor;
its shapes never change and nothing in it waits for the device. So it can be recorded once
and played again, and neither wrapper changes what it computes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._pytree import tree_leaves, tree_map_only

from hilserl_core.errors import UserError

Step = Callable[..., Tensor]
DEVICES = ("auto", "cpu", "cuda")
WARM_UP = 3  # runs before a capture, in which libraries choose kernels and take memory


def device_of(name: str) -> torch.device:
    """The device of that name; "auto" takes a GPU where there is one.

    Raises:
        UserError: a GPU is asked for and torch sees none.
    """
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise UserError(
            "parameter 'device': 'cuda', but torch sees no GPU: choose auto or cpu, or install "
            "a torch that is built for the GPU's driver"
        )
    return torch.device("cuda" if available and name != "cpu" else "cpu")


def accelerate(step: Step, compiled: bool, device: torch.device) -> Step:
    """The same step, quicker.

    Args:
        step: pure, called as step(state, *inputs).
        compiled: make one compiled program of it; minutes the first time on a CPU.
        device: of the state; on "cuda" the step becomes a CUDA graph, and its inputs may come
            from the CPU.
    """
    if compiled:
        step = Compiled(step)
    return Captured(step, device) if device.type == "cuda" else step


def _adam(
    parameters: list[Tensor],
    gradient: list[Tensor],
    first: list[Tensor],
    second: list[Tensor],
    _: list[Tensor],
    updates: list[Tensor],
    *,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    **unused: Any,
) -> None:
    """``torch._fused_adam_`` as products and sums, for the compiler to fuse with the rest."""
    torch._foreach_lerp_(first, gradient, 1 - beta1)
    torch._foreach_mul_(second, beta2)
    torch._foreach_addcmul_(second, gradient, gradient, 1 - beta2)
    rate = lr / (1 - beta1 ** updates[0])
    scale = (1 - beta2 ** updates[0]).rsqrt()
    for parameter, mean, square in zip(parameters, first, second, strict=True):
        parameter.sub_(rate * mean / (square.sqrt() * scale + eps))


class Compiled:
    """A step as one graph of tensor operations, its backward passes among them, compiled.

    torch.compile by itself stops at gradients that are taken inside of a function. Recorded
    below autograd, they are operations like others.

    Args:
        step: the step.
        backend: of torch.compile.
    """

    def __init__(self, step: Step, backend: str = "inductor"):
        self._step = step
        self._backend = backend
        self._program: Step | None = None

    def __call__(self, *arguments: Any) -> Tensor:
        if self._program is None:
            # Recording runs the step: on copies, so that the state does not move.
            copies = tree_map_only(Tensor, torch.clone, arguments)
            adam = {torch.ops.aten._fused_adam_.default: _adam}
            recorded = make_fx(lambda *a: self._step(*a), decomposition_table=adam)(*copies)
            self._program = torch.compile(recorded, fullgraph=True, backend=self._backend)
        return self._program(*arguments)


def _copy(values: Any, into: Any) -> None:
    """Copies tensors into others in the same place of an equal structure."""
    for mine, given in zip(tree_leaves(into), tree_leaves(values), strict=True):
        if isinstance(mine, Tensor):
            mine.copy_(given)


class Captured:
    """A step as a CUDA graph, played with one call in place of hundreds of launches.

    Args:
        step: the step. It is always to be called with the same state.
        device: of the state.
    """

    def __init__(self, step: Step, device: torch.device):
        self._step = step
        self._device = device
        self._graph: torch.cuda.CUDAGraph | None = None
        self._inputs: Any = None  # the graph reads them where they lie
        self._output = torch.empty(0)

    def __call__(self, state: Any, *inputs: Any) -> Tensor:
        if self._graph is None:
            self._inputs = tree_map_only(
                Tensor, lambda tensor: tensor.to(self._device, copy=True), inputs
            )
            self._graph = self._capture(state)
        _copy(inputs, self._inputs)
        self._graph.replay()
        return self._output.clone()

    def _capture(self, state: Any) -> torch.cuda.CUDAGraph:
        """Records the step; the state is then as before."""
        before = tree_map_only(Tensor, torch.clone, state)
        stream = torch.cuda.Stream(self._device)
        stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                self._step(state, *self._inputs)
        torch.cuda.current_stream(self._device).wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._output = self._step(state, *self._inputs)
        _copy(before, state)
        return graph
