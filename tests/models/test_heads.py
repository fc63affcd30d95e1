import torch
from torch.nn import functional

from negmerge.models.clip import build_clip, encode_prompts
from negmerge.models.heads import combine_prompts, zero_shot_head


def test_the_head_is_the_official_one(golden):
    file = golden("clip_head")
    embeddings, scale = torch.tensor(file["text_embeddings"]), torch.tensor(file["logit_scale"])
    head = combine_prompts(embeddings, scale)
    torch.testing.assert_close(head, torch.tensor(file["head_weight"]), rtol=1e-5, atol=1e-6)
    # Image features are normalised before the head, and it has no bias.
    features = functional.normalize(torch.tensor(file["features"]), dim=-1)
    torch.testing.assert_close(
        features @ head.T, torch.tensor(file["logits"]), rtol=1e-5, atol=1e-5
    )


def test_the_length_of_an_embedding_does_not_matter():
    embeddings = torch.randn(3, 2, 5, generator=torch.Generator().manual_seed(0))
    scale = torch.tensor(2.0)
    head = combine_prompts(embeddings, scale)
    lengths = torch.tensor([[[1.0], [7.0]]])
    torch.testing.assert_close(combine_prompts(embeddings * lengths, scale), head)
    torch.testing.assert_close(head.norm(dim=1), scale.exp().expand(3))


def test_a_head_is_made_of_all_templates_of_a_class(catalogue):
    torch.manual_seed(0)
    clip = build_clip(catalogue.models["mini-clip"].model_dump()).eval()
    head = zero_shot_head(clip, ["cat", "dog"], ["a {}.", "the {}"])
    assert head.shape == (2, 64)
    assert not head.requires_grad
    prompts = encode_prompts(clip, ["a cat.", "the cat", "a dog.", "the dog"]).reshape(2, 2, -1)
    torch.testing.assert_close(head, combine_prompts(prompts, clip.logit_scale.detach()))
    one = zero_shot_head(clip, ["cat", "dog"], ["a {}."])
    torch.testing.assert_close(one / one.norm(dim=1, keepdim=True), prompts[:, 0])
