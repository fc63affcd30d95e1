import numpy as np
import pytest
import torch

from negmerge.errors import UserError
from negmerge.models import generation
from negmerge.models.generation import generate_greedily
from small_language_models import VOCABULARY, language_model

pytest.importorskip("transformers")

CPU = torch.device("cpu")
KINDS = ("llama", "gpt2", "gemma2", "opt")
END = 2


def prompts(count=11, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(3, VOCABULARY, 1 + number).tolist() for number in rng.permutation(count)]


def one_by_one(model, prompt, ends, most):
    """Without cache, batch or padding."""
    said = []
    for _ in range(most):
        with torch.no_grad():
            token = int(model(torch.tensor([[*prompt, *said]])).logits[0, -1].argmax())
        if token in ends:
            break
        said.append(token)
    return said


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("batch_size", "tokens"), [(1, 64), (8, 64), (8, 6)])
def test_it_says_the_most_probable_tokens_whatever_the_batch_and_the_rounds(
    kind, batch_size, tokens, monkeypatch
):
    monkeypatch.setattr(generation, "ROUND", tokens)
    model, asked = language_model(kind), prompts()
    ends = {one_by_one(model, asked[0], (), 4)[-1], END}  # so that some do end
    expected = [one_by_one(model, prompt, ends, 20) for prompt in asked]
    assert len({len(text) for text in expected}) > 1
    assert generate_greedily(model, asked, [*ends], CPU, 20, batch_size) == expected


def test_it_is_what_transformers_says_of_each_prompt_alone():
    model, asked = language_model(), prompts()
    found = generate_greedily(model, asked, [END], CPU, 12)
    for prompt, text in zip(asked, found, strict=True):
        ids = torch.tensor([prompt])
        whole = model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=12,
            eos_token_id=END, pad_token_id=0,
        )[0, len(prompt) :].tolist()  # fmt: skip
        assert text == (whole[: whole.index(END)] if END in whole else whole)


def test_settings_of_the_model_are_not_used_and_stay():
    model, asked = language_model(), prompts(3)
    plain = generate_greedily(model, asked, [END], CPU, 12)
    settings = model.generation_config
    settings.update(do_sample=True, temperature=9.0, repetition_penalty=50.0, max_new_tokens=2)
    assert generate_greedily(model, asked, [END], CPU, 12) == plain
    assert model.generation_config is settings
    assert settings.temperature == 9


def test_the_end_may_be_the_token_that_pads():
    model = language_model()
    ends = [one_by_one(model, [3, 4], (), 3)[-1], 0]
    assert generate_greedily(model, [[3, 4], [5] * 7], ends, CPU, 9) == [
        one_by_one(model, prompt, ends, 9) for prompt in ([3, 4], [5] * 7)
    ]


def test_a_text_that_never_ends_stops_at_the_most_tokens_or_where_the_context_is_full():
    model, impossible = language_model(), [VOCABULARY]
    assert [len(t) for t in generate_greedily(model, [[3], [4, 5]], impossible, CPU, 7)] == [7, 7]
    found = generate_greedily(model, [[3], [4] * 40], impossible, CPU)
    assert [len(text) for text in found] == [8, 8]  # the model reads 48


def test_no_prompts_give_no_texts():
    assert generate_greedily(language_model(), [], [END], CPU) == []


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ([[3], []], r"^prompt 1 has no token, expected at least 1$"),
        ([[3] * 48], r"^prompt 0: 48 tokens, but the model reads 48$"),
    ],
)
def test_prompts_that_cannot_be_continued_are_refused(asked, message):
    with pytest.raises(UserError, match=message):
        generate_greedily(language_model(), asked, [END], CPU)
