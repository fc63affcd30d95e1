"""ResNet-18 and VGG-16 for small images, as the unlearning literature trains them.

The shapes are those of SalUn's code (OPTML-Group/Unlearn-Saliency, Classification/models), the
names of the tensors those of torchvision.
"""

from collections import OrderedDict

from torch import Tensor, nn

# VGG-16's convolutions by stage. There is a pooling between two stages, none after the last.
VGG16 = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
STAGES = 4
# Standard deviation of the linear layers of a new VGG-16, there and in torchvision.
LINEAR_STD = 0.01


def _initialise(network: nn.Module) -> nn.Module:
    """Draw the convolutions from Kaiming's normal distribution; their biases start at 0."""
    for module in network.modules():
        # Without numbers there is nothing to draw, and torch would import its compiler for it.
        if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network


class _Block(nn.Module):
    """Two convolutions, and a way around them (He et al., 2016).

    torchvision's `BasicBlock`, with its names of the tensors; torchvision takes a second to import.
    """

    def __init__(self, inputs: int, width: int, stride: int = 1, shortcut: nn.Module | None = None):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = shortcut

    def forward(self, images: Tensor) -> Tensor:
        found = self.relu(self.bn1(self.conv1(images)))
        found = self.bn2(self.conv2(found))
        found += images if self.downsample is None else self.downsample(images)
        return self.relu(found)


def _stage(inputs: int, width: int, stride: int) -> nn.Sequential:
    """Build two residual blocks; the first one takes `stride` and changes the width."""
    shortcut = None
    if stride != 1 or inputs != width:
        shortcut = nn.Sequential(
            nn.Conv2d(inputs, width, kernel_size=1, stride=stride, bias=False),
            nn.BatchNorm2d(width),
        )
    return nn.Sequential(_Block(inputs, width, stride, shortcut), _Block(width, width))


def resnet18(classes: int, width: int = 64) -> nn.Sequential:
    """Build a ResNet-18 with a 3x3 stem of stride 1 and without max-pooling, random weights.

    torchvision's own class has its widths written into it, so its blocks are put together here.

    Args:
        classes: number of outputs.
        width: channels of the first stage; each further stage has twice as many. 64 is ResNet-18.

    Returns:
        A network from images (n, 3, side, side) to logits (n, classes).
    """
    layers = OrderedDict(
        conv1=nn.Conv2d(3, width, kernel_size=3, padding=1, bias=False),
        bn1=nn.BatchNorm2d(width),
        relu=nn.ReLU(inplace=True),
    )
    inputs = width
    for stage in range(STAGES):
        channels = width << stage
        layers[f"layer{stage + 1}"] = _stage(inputs, channels, stride=2 if stage else 1)
        inputs = channels
    layers["avgpool"] = nn.AdaptiveAvgPool2d(1)
    layers["flatten"] = nn.Flatten()
    layers["fc"] = nn.Linear(inputs, classes)
    return _initialise(nn.Sequential(layers))


def _vgg_head(classes: int, variant: str) -> nn.Module:
    """Build what follows the pooling of a VGG-16, with its random weights."""
    channels = VGG16[-1][-1]
    if variant == "lth":
        head = nn.Linear(channels, classes)
    else:
        head = nn.Sequential(
            nn.Linear(channels * 2 * 2, 256),
            nn.ReLU(inplace=True),
            nn.Linear(256, 256),
            nn.ReLU(inplace=True),
            nn.Linear(256, classes),
        )
    for module in head.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=LINEAR_STD)
            nn.init.zeros_(module.bias)
    return head


def vgg16_bn(classes: int, variant: str = "salun") -> nn.Sequential:
    """Build a VGG-16 with batch normalisation, random weights.

    Args:
        classes: number of outputs.
        variant: `salun` (`vgg16_bn` there: convolutions without bias, a 2x2 pooling, three linear
            layers without dropout) or `lth` (`vgg16_bn_lth` there: convolutions with bias, a 1x1
            pooling, one linear layer). Which of the two the papers used is not known.

    Returns:
        A network from images (n, 3, side, side), at least 16 pixels wide, to logits (n, classes).
    """
    lth = variant == "lth"
    features, inputs = [], 3
    for number, stage in enumerate(VGG16):
        if number:
            features.append(nn.MaxPool2d(kernel_size=2, stride=2))
        for channels in stage:
            features.append(nn.Conv2d(inputs, channels, kernel_size=3, padding=1, bias=lth))
            features += [nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
            inputs = channels
    layers = OrderedDict(
        features=nn.Sequential(*features),
        avgpool=nn.AdaptiveAvgPool2d(1 if lth else 2),
        flatten=nn.Flatten(),
    )
    network = _initialise(nn.Sequential(layers))
    network.add_module("classifier", _vgg_head(classes, variant))
    return network
