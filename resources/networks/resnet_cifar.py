"""ResNets for CIFAR-10 of He et al., 2016, section 4.2, with shortcuts of their option A."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class Block(nn.Module):
    """Two convolutions of 3 x 3 and a shortcut without parameters.

    Where the block has more channels than its input, the shortcut takes every second pixel, and
    half of the new channels, which are zero, stand on each side of the old.
    """

    def __init__(self, inputs: int, width: int):
        super().__init__()
        stride = 1 if inputs == width else 2
        self.stride, self.new = stride, width - inputs
        self.conv1 = nn.Conv2d(inputs, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, images: Tensor) -> Tensor:
        outputs = functional.relu(self.bn1(self.conv1(images)))
        outputs = self.bn2(self.conv2(outputs))
        if self.new:
            kept = images[:, :, :: self.stride, :: self.stride]
            images = functional.pad(kept, (0, 0, 0, 0, self.new // 2, self.new - self.new // 2))
        return functional.relu(outputs + images)


class ResNet(nn.Module):
    """A convolution, three stages of n blocks with 16, 32 and 64 channels, and a linear layer."""

    def __init__(self, n: int, num_classes: int):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        inputs = 16
        for stage, width in enumerate((16, 32, 64), 1):
            blocks = [Block(inputs if number == 0 else width, width) for number in range(n)]
            self.add_module(f"layer{stage}", nn.Sequential(*blocks))
            inputs = width
        self.linear = nn.Linear(inputs, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, images: Tensor) -> Tensor:
        outputs = functional.relu(self.bn1(self.conv1(images)))
        outputs = self.layer3(self.layer2(self.layer1(outputs)))
        return self.linear(torch.mean(outputs, dim=(2, 3)))


def resnet20(num_classes: int = 10) -> nn.Module:
    """Build ResNet-20, of 1 + 3 x 3 x 2 convolutions and a linear layer."""
    return ResNet(3, num_classes)
