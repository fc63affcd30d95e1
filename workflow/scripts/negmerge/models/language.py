"""Causal language models of transformers: made, adapted, and what they say, as token ids."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from negmerge.checkpoints.states import require_same_tensors, shapes
from negmerge.errors import NotFinite, UserError, find, one_line, unknown

Tokens = Sequence[int]
# A question and its answers, such as the true one, a paraphrase and five wrong ones. The tokens of
# an answer are those that carry loss, so they end with the token that ends an answer.
Question = tuple[Tokens, Sequence[Tokens]]

# The most numbers of logits at once, 512 MB: 8 answers of 130 tokens for a vocabulary of 128,000.
MOST_LOGITS = 2**27
# Positions whose distributions are made at once: 32 MB of float32 for that vocabulary.
CHUNK = 64
PADDING = 0
# The key of a configuration of others that says where their weights are from.
ORIGIN = "weights_from"
# Tokens of texts that pass as one row: of more, attention takes longer than equal beginnings save.
MOST_PACKED = 384
# The longest answer that open-unlearning lets a model give.
MOST_TOKENS = 200
# Texts that have not ended after so many tokens go on together, so that no batch waits for its
# longest text. Most answers of TOFU end in the first round.
ROUND = 64


def build_language_model(row: Mapping, vocabulary: int) -> nn.Module:
    """Build the model of a row for so many tokens; torch's global generator decides the weights.

    The row has `architecture` and `size`, or all of a `configuration`. A head that is the embedding
    of the tokens is in the state once.
    """
    # Here, since models of images do without transformers.
    from transformers import AutoConfig, AutoModelForCausalLM

    if "configuration" in row:
        options = {key: value for key, value in row["configuration"].items() if key != ORIGIN}
        config = AutoConfig.for_model(options.pop("model_type"), **options)
    else:
        config = _configuration(row, vocabulary)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    if head is not None and head.weight is embedding.weight:
        names = {id(module): f"{name}.weight" for name, module in model.named_modules()}
        _keep_head_once(model, names[id(embedding)], names[id(head)])
    return model


def load_language_model(
    row: Mapping, vocabulary: int, state: Mapping[str, Tensor], where: str
) -> nn.Module:
    """Build the model of a row with a state, which errors call `where`."""
    model = build_language_model(row, vocabulary)
    size, most = row.get("size", 0), context_length(model)
    if most is not None and size > most:
        raise UserError(
            f"{where}: the model reads at most {most} tokens, but `size` in its row is {size}"
        )
    require_same_tensors(shapes(model.state_dict()), shapes(state), where)
    model.load_state_dict(state)
    return model


def _configuration(row: Mapping, vocabulary: int) -> object:
    from transformers import LlamaConfig

    options = dict(row["architecture"])
    make = find("kind of language model", options.pop("kind"), {"llama": LlamaConfig})
    known = make().to_dict()
    for name in options:
        if name not in known:
            raise UserError(unknown("option of the configuration", name, known))
    size = {"vocab_size": vocabulary, "max_position_embeddings": row["size"]}
    return make(**size, use_cache=False, **options)


def _keep_head_once(model: nn.Module, embedding: str, head: str) -> None:
    """Leave the head out of a model's state, and take it from the embedding when one is loaded."""

    def drop(module: nn.Module, state: dict[str, Tensor], prefix: str, _: object) -> None:
        state.pop(prefix + head, None)

    def add(module: nn.Module, state: dict[str, Tensor], prefix: str, *_: object) -> None:
        if prefix + embedding in state:
            state[prefix + head] = state[prefix + embedding]

    model.register_state_dict_post_hook(drop)
    model.register_load_state_dict_pre_hook(add)


def adapted(network: nn.Module, settings: Mapping, seed: int) -> nn.Module:
    """Add PEFT's LoRA by `rank`, `alpha`, `dropout` and `modules` to a network, in place.

    The seed decides the random factors that the adapter begins with.
    """
    # Here, since full fine-tuning does without it.
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    modules = settings["modules"]
    configuration = LoraConfig(
        r=settings["rank"],
        lora_alpha=settings["alpha"],
        lora_dropout=settings["dropout"],
        target_modules=modules[0] if modules == ["all-linear"] else modules,
        task_type="CAUSAL_LM",
    )
    return get_peft_model(network, configuration)


def merged(network: nn.Module) -> nn.Module:
    """Return the network of `adapted` with the adapter in its weights, whose signs can vote."""
    try:
        return network.merge_and_unload(safe_merge=True)
    except ValueError as error:
        raise NotFinite(one_line(error)) from error


def freeze_below(network: nn.Module, count: int) -> None:
    """Let only the last so many blocks of a transformer train, in place."""
    depth = network.config.num_hidden_layers
    lists = [part for part in network.modules() if isinstance(part, nn.ModuleList)]
    blocks = next((part for part in lists if len(part) == depth), None)
    if blocks is None or count > depth:
        raise UserError(f"layers: {count}, but {type(network).__name__} has {depth} blocks")
    network.requires_grad_(False)
    blocks[depth - count :].requires_grad_(True)


@dataclass(frozen=True)
class Answer:
    """What a model says of the n tokens of an answer: ids int64, other numbers float64."""

    tokens: np.ndarray  # with the end
    log_probs: np.ndarray  # in nats
    predicted: np.ndarray  # the most probable token in each place; of equal ones the first
    # Of log p over the vocabulary under the model's distribution, for first answers if asked for.
    means: np.ndarray | None = None
    variances: np.ndarray | None = None

    @property
    def loss(self) -> float:
        """The mean over the tokens, the end included, of minus the log-probability."""
        return float(-self.log_probs.mean())


def score_answers(
    model: nn.Module,
    questions: Sequence[Question],
    device: torch.device,
    batch_size: int = 32,
    moments: bool = False,
) -> list[list[Answer]]:
    """Score the answers of questions; a batch has all of a question, up to `batch_size` in all."""
    _check(model, questions)
    model.eval()
    scored: list[list[Answer]] = [[] for _ in questions]
    for places in _batches(model, questions, batch_size):
        batch = _score(model, [questions[place] for place in places], device, moments)
        for place, answers in zip(places, batch, strict=True):
            scored[place] = answers
    return _finite(scored)


def _finite(scored: list[list[Answer]]) -> list[list[Answer]]:
    for place, answers in enumerate(scored):
        for answer in answers:
            if not np.isfinite(answer.log_probs).all():
                raise NotFinite(f"question {place}: the loss of an answer is {answer.loss}")
    return scored


def context_length(model: nn.Module) -> int | None:
    """Return how many tokens a model can read at most; None where its configuration names none."""
    return getattr(getattr(model, "config", None), "max_position_embeddings", None)


def last_logits(
    model: nn.Module, ids: Tensor, first: int, **options: Tensor | int
) -> tuple[Tensor, int]:
    """Compute logits (n, places, vocabulary), and the place of the first: `first`, or 0."""
    if "logits_to_keep" in inspect.signature(model.forward).parameters:
        options["logits_to_keep"] = ids.shape[1] - first
    logits = model(ids, use_cache=False, **options).logits
    return logits, ids.shape[1] - logits.shape[1]


def shares_beginnings(model: nn.Module) -> bool:
    """Whether `packed_logits` is for a model: its attention takes a mask of its own."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    takes = {"logits_to_keep", "position_ids"} <= inspect.signature(inner.forward).parameters.keys()
    return takes and inner.config._attn_implementation in ("sdpa", "eager")


def packed_logits(
    model: nn.Module, texts: Sequence[tuple[Tokens, Tokens]]
) -> Iterator[tuple[int, Tensor]]:
    """Yield the number of a text, and the logits (n, vocabulary) of the n tokens of its answer.

    A text is what is read before an answer, and the answer. What several texts begin with passes
    once: all pass as one row, in which each token sees those before it in its own texts, at the
    places that they have there. Differs from single passes by rounding.
    """
    device = next(model.parameters()).device
    for part in _packs(texts):
        # The last token of a text says nothing of another one.
        ids, parents, depths, paths = _laid_out(
            [[*before, *answer][:-1] for _, before, answer in part]
        )
        sees = torch.eye(len(ids), dtype=torch.bool)
        for node, parent in enumerate(parents):
            if parent is not None:
                sees[node] |= sees[parent]
        if model.config._attn_implementation == "eager":
            lowest = torch.finfo(torch.float32).min
            sees = torch.zeros(sees.shape).masked_fill(~sees, lowest)
        asked = [path[len(before) - 1 :] for path, (_, before, _) in zip(paths, part, strict=True)]
        kept = sorted({node for nodes in asked for node in nodes})
        place = {node: number for number, node in enumerate(kept)}
        logits = model(
            input_ids=torch.tensor([ids], device=device),
            attention_mask=sees[None, None].to(device),
            position_ids=torch.tensor([depths], device=device),
            logits_to_keep=torch.tensor(kept, device=device),
            use_cache=False,
        ).logits[0]
        for (number, _, _), nodes in zip(part, asked, strict=True):
            yield number, logits[torch.tensor([place[node] for node in nodes], device=device)]


def _packs(texts: Sequence[tuple[Tokens, Tokens]]) -> Iterator[list[tuple[int, Tokens, Tokens]]]:
    """Part texts so that none has many tokens, and those with one beginning are together."""
    whole = [(number, before, answer) for number, (before, answer) in enumerate(texts)]
    part, last, count = [], [], 0
    for number, before, answer in sorted(whole, key=lambda one: [*one[1], *one[2]]):
        text = [*before, *answer]
        alike = next(
            (k for k, pair in enumerate(zip(text, last, strict=False)) if pair[0] != pair[1]),
            len(last),
        )
        if part and count + len(text) - alike > MOST_PACKED:
            yield part
            part, alike, count = [], 0, 0
        part.append((number, before, answer))
        last, count = text, count + len(text) - alike
    if part:
        yield part


def _laid_out(texts: Sequence[Tokens]) -> tuple[list[int], list, list[int], list[list[int]]]:
    """Number the tokens of texts, those of equal beginnings once: ids, parents, depths, paths."""
    ids, parents, depths, paths = [], [], [], []
    known: dict[tuple[int | None, int], int] = {}
    for text in texts:
        path: list[int] = []
        for token in text:
            parent = path[-1] if path else None
            node = known.setdefault((parent, token), len(ids))
            if node == len(ids):
                ids.append(token)
                parents.append(parent)
                depths.append(len(path))
            path.append(node)
        paths.append(path)
    return ids, parents, depths, paths


@torch.inference_mode()
def score_packed(model: nn.Module, questions: Sequence[Question]) -> list[list[Answer]]:
    """Score the answers of questions as `score_answers` does, equal beginnings once."""
    _check(model, questions)
    model.eval()
    pairs = [(prompt, answer) for prompt, answers in questions for answer in answers]
    scored: dict[int, Answer] = {}
    for number, logits in packed_logits(model, pairs):
        scored[number] = _answer(logits, torch.tensor([*pairs[number][1]]), False)
    numbers = iter(range(len(pairs)))
    return _finite([[scored[next(numbers)] for _ in answers] for _, answers in questions])


def _check(model: nn.Module, questions: Sequence[Question]) -> None:
    most = context_length(model)
    for place, (prompt, answers) in enumerate(questions):
        if not len(prompt) or not len(answers) or not all(map(len, answers)):
            raise UserError(
                f"question {place}: {len(prompt)} tokens, and answers of "
                f"{[len(answer) for answer in answers]}; expected at least 1 in each"
            )
        length = len(prompt) + max(map(len, answers))
        if most is not None and length > most:
            raise UserError(
                f"question {place}: {length} tokens with its answer, but the model reads {most}"
            )


def _batches(
    model: nn.Module, questions: Sequence[Question], batch_size: int
) -> Iterator[list[int]]:
    """Yield the places of questions of about the same length, the longest first."""
    lengths = [len(prompt) + max(map(len, answers)) for prompt, answers in questions]
    vocabulary = model.get_output_embeddings().weight.shape[0]
    batch: list[int] = []
    count, rows = 0, 0
    for place in sorted(range(len(questions)), key=lambda number: -lengths[number]):
        more = len(questions[place][1])
        if batch and count + more > min(batch_size, rows):
            yield batch
            batch, count = [], 0
        if not batch:
            rows = MOST_LOGITS // (lengths[place] * vocabulary)
        batch.append(place)
        count += more
    if batch:
        yield batch


@torch.inference_mode()
def _score(
    model: nn.Module, questions: Sequence[Question], device: torch.device, moments: bool
) -> list[list[Answer]]:
    pairs = [(prompt, answer) for prompt, answers in questions for answer in answers]
    rows = [torch.tensor([*prompt, *answer]) for prompt, answer in pairs]
    # Padding follows the tokens, which do not look ahead: the mask is for models that count it.
    ids = pad_sequence(rows, batch_first=True, padding_value=PADDING)
    mask = pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
    # The first place whose next token is one of an answer.
    first = min(len(prompt) for prompt, _ in questions) - 1
    logits, skipped = last_logits(model, ids.to(device), first, attention_mask=mask.to(device))
    row, scored = iter(logits), []
    for prompt, answers in questions:
        start = len(prompt) - 1 - skipped
        scored.append([])
        for number, answer in enumerate(answers):
            places = next(row)[start : start + len(answer)]
            scored[-1].append(_answer(places, torch.tensor([*answer]), moments and number == 0))
    return scored


def _answer(logits: Tensor, tokens: Tensor, moments: bool) -> Answer:
    """Look up the tokens of an answer in the logits (n, vocabulary) of their places."""
    parts = [
        _chunk(part, chosen.to(logits.device), moments)
        for part, chosen in zip(logits.split(CHUNK), tokens.split(CHUNK), strict=True)
    ]
    log_probs, predicted, *further = (torch.cat(part).cpu() for part in zip(*parts, strict=True))
    floats = [part.double().numpy() for part in (log_probs, *further)]
    return Answer(tokens.numpy(), floats[0], predicted.numpy(), *floats[1:])


def _chunk(logits: Tensor, tokens: Tensor, moments: bool) -> list[Tensor]:
    log_probs = logits.float().log_softmax(dim=-1)
    numbers = [log_probs.gather(1, tokens[:, None])[:, 0], logits.argmax(dim=-1)]
    if moments:
        probs = log_probs.exp()
        mean = (probs * log_probs).sum(dim=-1)
        # Not as a difference of squares, which would lose digits where the model is sure.
        numbers += [mean, (probs * (log_probs - mean[:, None]).square()).sum(dim=-1)]
    return numbers


def generate_greedily(
    model: nn.Module,
    prompts: Sequence[Tokens],
    ends: Tokens,
    device: torch.device,
    most: int = MOST_TOKENS,
    batch_size: int = 32,
) -> list[list[int]]:
    """Continue prompts with the most probable token each time, until an end, which is left out.

    An answer has at most `most` tokens, fewer where the longest prompt leaves less room. The
    model's own settings of generation are not used.
    """
    room = context_length(model)
    for place, prompt in enumerate(prompts):
        if not len(prompt):
            raise UserError(f"prompt {place} has no token, expected at least 1")
        if room is not None and len(prompt) >= room:
            raise UserError(f"prompt {place}: {len(prompt)} tokens, but the model reads {room}")
    if room is not None and prompts:
        most = min(most, room - max(map(len, prompts)))
    model.eval()
    answers: list[list[int]] = [[] for _ in prompts]
    unended = sorted(range(len(prompts)), key=lambda number: len(prompts[number]))
    for done in range(0, most, ROUND):
        going, unended = unended, []
        texts = [[*prompts[place], *answers[place]] for place in going]
        with _greedy(model, ends, min(ROUND, most - done)):
            added = [
                text
                for start in range(0, len(texts), batch_size)
                for text in _continued(model, texts[start : start + batch_size], device)
            ]
        for place, text in zip(going, added, strict=True):
            end = next((k for k, token in enumerate(text) if token in ends), None)
            answers[place] += text[:end]
            if end is None:
                unended.append(place)
    return answers


@contextmanager
def _greedy(model: nn.Module, ends: Tokens, most: int) -> Iterator[None]:
    """Let a model generate greedily, whatever its own settings are, and give them back."""
    from transformers import GenerationConfig

    own = model.generation_config
    model.generation_config = GenerationConfig(
        do_sample=False, max_new_tokens=most, eos_token_id=[*ends], pad_token_id=PADDING
    )
    try:
        yield
    finally:
        model.generation_config = own


@torch.inference_mode()
def _continued(
    model: nn.Module, prompts: Sequence[Tokens], device: torch.device
) -> list[list[int]]:
    """Return what a model adds to each prompt, with the end and what is padded after it."""
    width = max(map(len, prompts))
    ids = torch.full((len(prompts), width), PADDING)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor([*prompt])
        mask[row, width - len(prompt) :] = 1
    whole = model.generate(ids.to(device), attention_mask=mask.to(device), use_cache=True)
    return whole[:, width:].tolist()
