"""Adam moves each weight by its own gradient, however that lies in memory."""

import torch

from hilserl_learner.optimise import Trained, adam


def test_a_gradient_that_lies_channels_last_moves_the_weights_it_is_of():
    shape = (4, 3, 5, 5)
    gradient = torch.arange(300, dtype=torch.float32).reshape(shape) - 150
    trained = Trained.start({"weight": torch.zeros(shape)})
    adam(trained, [gradient.contiguous(memory_format=torch.channels_last)], 0.1)
    torch.testing.assert_close(trained.first["weight"], 0.1 * gradient)
    torch.testing.assert_close(trained.parameters["weight"], -0.1 * gradient.sign())
