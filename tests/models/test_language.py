"""Causal language models: made, adapted, and what they say of answers and by themselves."""

import copy

import numpy as np
import pytest
import torch

from negmerge.checkpoints.states import write_state
from negmerge.errors import NotFinite, UserError
from negmerge.models import beginnings, generation
from negmerge.models.answers import score_answers, score_packed
from negmerge.models.generation import generate_greedily
from negmerge.models.language import (
    adapted,
    build_language_model,
    freeze_below,
    load_language_model,
    merged,
)
from small_language_models import VOCABULARY, language_model

pytest.importorskip("transformers")

SMALL = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 24,
}
EMBEDDING = "model.embed_tokens.weight"
IDS = torch.arange(12).reshape(2, 6)


def row(**options):
    return {"architecture": {"kind": "llama", **SMALL, **options}, "size": 32}


@pytest.mark.parametrize("tied", [True, False])
def test_a_state_comes_back_with_its_head_which_it_has_once_if_it_is_tied(tmp_path, tied):
    torch.manual_seed(0)
    model = build_language_model(row(tie_word_embeddings=tied), 50)
    assert ("lm_head.weight" in model.state_dict()) != tied
    write_state(tmp_path / "m.safetensors", model.state_dict(), {})
    again = load_language_model(row(tie_word_embeddings=tied), 50, model.state_dict(), "m")
    assert torch.equal(again(IDS).logits, model(IDS).logits)
    moved = {name: value + 1 for name, value in model.state_dict().items()}
    again.load_state_dict(moved)
    assert torch.equal(again.state_dict()[EMBEDDING], moved[EMBEDDING])
    assert (again.lm_head.weight is again.model.embed_tokens.weight) == tied
    assert set(copy.deepcopy(again).state_dict()) == set(moved)


def trained(**changes):
    """A model with an adapter of random numbers, and its weights before, in float64."""
    model = language_model(tie_word_embeddings=True)
    before = {name: value.double() for name, value in model.state_dict().items()}
    settings = {"rank": 2, "alpha": 3, "dropout": 0.0, "modules": ["all-linear"]}
    torch.manual_seed(0)
    result = adapted(model, settings | changes, 0).double()
    for name, parameter in result.named_parameters():
        assert parameter.requires_grad == ("lora_" in name)
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    return result, before


def test_the_adapter_is_added_to_the_weights_and_nothing_else_changes():
    model, before = trained()
    state = model.state_dict()
    logits = model.eval()(IDS).logits
    whole = merged(model)
    torch.testing.assert_close(whole(IDS).logits, logits, rtol=0, atol=1e-6)
    after = whole.state_dict()
    assert set(after) == set(before)
    linear = [name for name in before if name.endswith("proj.weight")]
    for name in linear:
        place = f"base_model.model.{name.removesuffix('.weight')}"
        a, b = (state[f"{place}.lora_{one}.default.weight"] for one in "AB")
        torch.testing.assert_close(after[name], before[name] + 3 / 2 * (b @ a))
        assert not torch.equal(after[name], before[name])
    for name in set(before) - set(linear):
        assert torch.equal(after[name], before[name]), name


def test_the_seed_decides_the_random_factors_that_an_adapter_begins_with():
    settings = {"rank": 2, "alpha": 3, "dropout": 0.0, "modules": ["all-linear"]}
    first, same, other = (
        dict(adapted(language_model(), settings, seed).named_parameters()) for seed in (7, 7, 8)
    )
    factors = [name for name in first if ".lora_A." in name]
    assert factors
    for name in factors:
        assert torch.equal(first[name], same[name])
        assert not torch.equal(first[name], other[name])


def broken(model):
    """The model, one row of whose head is NaN."""
    model.lm_head.weight.data[7] = float("nan")
    return model


def asked(*questions, model=None):
    return score_answers(model or language_model(), questions, CPU)


def continued(*prompts):
    return generate_greedily(language_model(), prompts, [END], CPU)


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda: asked(([3], [[2]]), ([], [[2]])), "question 1: 0 tokens, .* expected at least 1"),
        (lambda: asked(([3] * 40, [[4], [4] * 9])), "question 0: 49 tokens .* model reads 48"),
        (lambda: asked(([3], [[2]]), model=broken(language_model())), "question 0: .* is nan"),
        (lambda: continued([3], []), "prompt 1 has no token, expected at least 1"),
        (lambda: continued([3] * 48), "prompt 0: 48 tokens, but the model reads 48"),
        (lambda: build_language_model(row(hidden=3), 50), "unknown option .* 'hidden'"),
        (
            lambda: build_language_model({"architecture": {"kind": "gpt"}, "size": 8}, 50),
            "unknown kind of language model 'gpt'",
        ),
        (
            lambda: load_language_model(
                row(), 51, build_language_model(row(), 50).state_dict(), "m.safetensors"
            ),
            f"m.safetensors: tensor '{EMBEDDING}'",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, line):
    with pytest.raises(UserError, match=f"^{line}"):
        call()


def test_an_adapter_that_is_not_finite_is_not_added():
    model, _ = trained()
    next(p for name, p in model.named_parameters() if "lora_B" in name).data.fill_(float("nan"))
    with pytest.raises(NotFinite, match="NaN"):
        merged(model)


CPU = torch.device("cpu")
KINDS = ("llama", "gpt2", "gemma2", "opt")
# Sums of a few hundred products of float32 in another order, in models whose logits are small.
ROUNDING = 2e-5
STD = 0.3
END = 2


def questions(count=7, seed=0):
    """Questions of unlike length, with one to three answers each; the shortest is an end only."""
    rng = np.random.default_rng(seed)

    def tokens(low, high):
        return rng.integers(3, VOCABULARY, rng.integers(low, high)).tolist()

    made = [
        (tokens(1, 9), [[*tokens(0, 9), 2] for _ in range(1 + number % 3)])
        for number in range(count)
    ]
    return [*made, ([5], [[2]])]


def alone(model, prompt, answer):
    """Log-probabilities (answer, vocabulary) of one sequence without any padding, in float64."""
    model = copy.deepcopy(model).double()
    with torch.no_grad():
        logits = model(torch.tensor([[*prompt, *answer]])).logits[0].double()
    return logits.log_softmax(-1)[len(prompt) - 1 : -1].numpy()


@pytest.mark.parametrize("kind", KINDS)
def test_every_number_is_that_of_the_sequence_alone(kind):
    model, asked = language_model(kind, std=STD), questions()
    result = score_answers(model, asked, CPU, moments=True)
    for (prompt, choices), scored in zip(asked, result, strict=True):
        assert all(one.means is None and one.variances is None for one in scored[1:])
        for place, (answer, one) in enumerate(zip(choices, scored, strict=True)):
            logs = alone(model, prompt, answer)
            assert one.tokens.tolist() == answer
            close = {"rtol": 0, "atol": ROUNDING}
            np.testing.assert_allclose(one.log_probs, logs[range(len(answer)), answer], **close)
            assert one.predicted.tolist() == logs.argmax(1).tolist()
            assert one.loss == pytest.approx(-one.log_probs.mean())
            if place == 0:
                mean = (np.exp(logs) * logs).sum(1)
                variance = (np.exp(logs) * logs**2).sum(1) - mean**2
                np.testing.assert_allclose(one.means, mean, **close)
                np.testing.assert_allclose(one.variances, variance, rtol=1e-4, atol=1e-4)


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
@pytest.mark.parametrize(("batch_size", "tokens"), [(1, 64), (8, 6)])
def test_it_says_the_most_probable_tokens_whatever_the_batch_and_the_rounds(
    kind, batch_size, tokens, monkeypatch
):
    monkeypatch.setattr(generation, "ROUND", tokens)
    model, asked = language_model(kind), prompts()
    ends = {one_by_one(model, asked[0], (), 4)[-1], END}  # so that some do end
    expected = [one_by_one(model, prompt, ends, 20) for prompt in asked]
    assert len({len(text) for text in expected}) > 1
    assert generate_greedily(model, asked, [*ends], CPU, 20, batch_size) == expected
    assert generate_greedily(model, [], [*ends], CPU) == []


def test_settings_of_the_model_are_not_used_and_stay():
    model, asked = language_model(), prompts(3)
    plain = generate_greedily(model, asked, [END], CPU, 12)
    settings = model.generation_config
    settings.update(do_sample=True, temperature=9.0, repetition_penalty=50.0, max_new_tokens=2)
    assert generate_greedily(model, asked, [END], CPU, 12) == plain
    assert model.generation_config is settings
    assert settings.temperature == 9


def test_a_text_that_never_ends_stops_at_the_most_tokens_or_where_the_context_is_full():
    model, impossible = language_model(), [VOCABULARY]
    assert [len(t) for t in generate_greedily(model, [[3], [4, 5]], impossible, CPU, 7)] == [7, 7]
    texts = generate_greedily(model, [[3], [4] * 40], impossible, CPU)
    assert [len(text) for text in texts] == [8, 8]  # the model reads 48


@pytest.mark.parametrize("kind", ["llama", "gemma2", "eager"])
@pytest.mark.parametrize("most", [6, 1000])
def test_texts_that_begin_alike_pass_once_and_are_scored_as_alone(kind, most, monkeypatch):
    settings = {"attn_implementation": "eager"} if kind == "eager" else {}
    model = language_model("llama" if kind == "eager" else kind, **settings)
    assert beginnings.shares_beginnings(model)
    monkeypatch.setattr(beginnings, "MOST_PACKED", most)
    questions = [
        ([5, 6, 7], [[8, 9], [8, 10, 11], [12]]),
        ([5, 6], [[7, 8], [7]]),
        ([9], [[5, 6, 7]]),
        ([5, 6, 7], [[8, 9]]),
    ]
    passed = []
    model.register_forward_pre_hook(
        lambda _, args, given: passed.append(given["input_ids"].numel()), with_kwargs=True
    )
    packed = score_packed(model, questions)
    # 5 6 7 8 10, without a token that says nothing of another; and 9 5 6.
    assert most == 6 or passed == [8]
    for (prompt, answers), scored in zip(questions, packed, strict=True):
        for answer, own in zip(answers, scored, strict=True):
            with torch.no_grad():
                logits = model(input_ids=torch.tensor([[*prompt, *answer]])).logits[0]
            places = logits[len(prompt) - 1 : -1].log_softmax(dim=1)
            expected = places.gather(1, torch.tensor(answer)[:, None])[:, 0].numpy()
            assert own.log_probs == pytest.approx(expected, abs=1e-5)
            assert own.predicted.tolist() == places.argmax(dim=1).tolist()
            assert own.tokens.tolist() == answer


def test_only_the_last_blocks_train_and_all_else_stays_as_it_is():
    model = language_model(num_hidden_layers=3)
    before = copy.deepcopy(model.state_dict())
    freeze_below(model, 1)
    trained = {name for name, one in model.named_parameters() if one.requires_grad}
    assert trained == {name for name in before if name.startswith("model.layers.2.")}
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.1)
    model(IDS, labels=IDS).loss.backward()
    optimizer.step()
    moved = {name for name, one in model.state_dict().items() if not torch.equal(one, before[name])}
    assert moved
    assert moved <= trained
    with pytest.raises(UserError, match=r"^layers: 4, but LlamaForCausalLM has 3 blocks$"):
        freeze_below(model, 4)
