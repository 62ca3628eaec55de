"""The parts of a decoder as plain PyTorch modules, sized by the planner's description of a model.

They move the bytes and do the products of the real thing; what changes neither (the activation
function, scales of scores, soft caps) is one choice for all. What a block builds of its part is
its ``BUILT``: any other figure of the part must be at its default.
"""
