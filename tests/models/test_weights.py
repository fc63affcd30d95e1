"""Weights that others have trained go through the same code as the workflow's own."""

import open_clip
import torch

from negmerge.models.clip import image_encoder, load_clip, split_state, text_model

ARCHITECTURE = "ViT-S-32-alt"


def test_weights_are_loaded_and_cut_into_image_and_text_part(tmp_path):
    torch.manual_seed(1)
    trained = open_clip.create_model(ARCHITECTURE, pretrained=None).eval()
    torch.save(trained.state_dict(), tmp_path / "weights.pt")
    row = {"architecture": ARCHITECTURE, "weights": str(tmp_path / "weights.pt")}
    torch.manual_seed(2)
    image, text = split_state(load_clip(row))
    images, tokens = torch.randn(2, 3, 224, 224), open_clip.tokenize(["a cat", "two dogs"])
    with torch.no_grad():
        features = image_encoder(row, image, "base").eval()(images)
        assert torch.equal(features, trained.encode_image(images, normalize=True))
        words = text_model(row, text, "text").encode_text(tokens)
        assert torch.equal(words, trained.encode_text(tokens))
