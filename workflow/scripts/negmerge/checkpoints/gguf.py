"""GGUF files of llama.cpp as states: names, shapes and numbers are as transformers reads them.

The package gguf gives the names and dequantises. transformers gives the configuration, and undoes
what llama.cpp changed in a tensor, such as the order of rows of Llama's queries and keys.
"""

from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from negmerge.checkpoints.states import Layout, StoredState
from negmerge.errors import UserError, one_line

# How many of the tensors that can only be read whole stay in memory.
KEPT = 4
# What the libraries raise for a file that is cut, lies, or is of a model that they do not know.
ERRORS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


class GgufFile(StoredState):
    """A GGUF file of a causal language model, dequantised to float32 in parts, as they are read.

    Only the rows of a part are dequantised where transformers leaves a matrix as it is, or puts its
    rows into another order. Others (vectors, the transposed matrices of GPT-2) are read whole. What
    transformers makes of several tensors, such as stacked experts, is refused.
    """

    def __init__(self, path: str | Path):
        path = Path(path)
        try:
            import gguf
            from transformers import AutoConfig, AutoModelForCausalLM
            from transformers.modeling_gguf_pytorch_utils import (
                TENSOR_PROCESSORS,
                TensorProcessor,
                load_gguf_checkpoint,
            )
        except ImportError:
            raise UserError(
                f"{path}: a GGUF file of llama.cpp, which is read with gguf and transformers: "
                "pip install 'negmerge[hub]'"
            ) from None
        try:
            settings = load_gguf_checkpoint(str(path))["config"]
            self.config = AutoConfig.for_model(**settings)
            with torch.device("meta"):
                model = AutoModelForCausalLM.from_config(self.config)
            reader = gguf.GGUFReader(path)
            kind = reader.fields["general.architecture"].contents()
            [architecture] = [key for key, value in gguf.MODEL_ARCH_NAMES.items() if value == kind]
            names = gguf.get_tensor_name_map(architecture, self.config.num_hidden_layers)
        except ERRORS as error:
            raise UserError(
                f"{path}: a GGUF file that transformers does not read: {one_line(error):.200}"
            ) from error
        self.config.architectures = [type(model).__name__]
        self._dequantize = gguf.dequantize
        self._processor = TENSOR_PROCESSORS.get(kind, TensorProcessor)(config=settings)
        # Tied parameters are listed once, by the name under which files have them.
        layouts = {
            name: Layout(torch.float32, tuple(parameter.shape))
            for name, parameter in model.named_parameters()
        }
        held = {tensor.name: tensor for tensor in reader.tensors}
        self._tensors = {}
        for name in layouts:
            stem, _, end = name.rpartition(".")
            own = names.get_name(stem) or names.get_name(stem.partition(".")[2])
            if f"{own}.{end}" not in held:
                raise UserError(f"{path}: has no tensor for {name!r} of {type(model).__name__}")
            self._tensors[name] = held.pop(f"{own}.{end}")
        kinds = sorted({tensor.tensor_type.name for tensor in self._tensors.values()})
        self.notes = [f"{path}: dequantised from {', '.join(kinds)} to float32"]
        if held:
            self.notes.append(f"{path}: leaves out what the model does not have: {', '.join(held)}")
        super().__init__(path, layouts)
        self._whole = lru_cache(KEPT)(self._flattened)

    def numbers(self, name: str, start: int, stop: int) -> Tensor:
        """Dequantise the numbers start..stop of a flattened tensor, as float32."""
        order = self._orders.get(name)
        if order is None:
            return self._whole(name)[start:stop]
        columns = self.shape(name)[1]
        first = start // columns
        # All of a row, since its numbers share scales.
        rows = self._tensors[name].data[order[first : max(-(-stop // columns), first + 1)]]
        flat = self._dequantize(rows, self._tensors[name].tensor_type).reshape(-1)
        return torch.from_numpy(flat)[start - first * columns : stop - first * columns]

    @cached_property
    def tokenizer(self) -> object:
        """The tokenizer, as transformers reads it."""
        from transformers import AutoTokenizer

        folder, name = self.path.parent, self.path.name
        try:
            return AutoTokenizer.from_pretrained(folder, gguf_file=name)
        except Exception as error:  # the library tokenizers raises no other kind
            raise UserError(
                f"{self.path}: its tokenizer is not read by transformers: {one_line(error):.200}"
            ) from error

    def write_companions(self, folder: Path) -> None:
        """Write configuration and tokenizer into a folder, as transformers reads them here."""
        from transformers import GenerationConfig

        self.tokenizer.save_pretrained(folder)
        self.config.dtype = "float32"
        self.config.save_pretrained(folder)
        GenerationConfig.from_model_config(self.config).save_pretrained(folder)

    @cached_property
    def _orders(self) -> dict[str, np.ndarray]:
        """The order of rows of each matrix of which nothing else is changed, by a small probe."""
        orders = {}
        for name, tensor in self._tensors.items():
            if len(tensor.shape) != 2 or tuple(reversed(tensor.shape)) != self.shape(name):
                continue
            probe = np.arange(2.0 * len(tensor.data)).reshape(-1, 2)
            try:
                with np.errstate(all="ignore"):
                    seen = self._process(name, probe)
            except ERRORS:
                continue
            order = seen.reshape(-1)[::2].astype(np.int64) // 2
            if seen.shape == probe.shape and np.array_equal(probe[order], seen):
                orders[name] = order
        return orders

    def _flattened(self, name: str) -> Tensor:
        tensor = self._tensors[name]
        numbers = self._process(name, self._dequantize(tensor.data, tensor.tensor_type))
        if numbers.shape != self.shape(name):
            raise UserError(
                f"{self.path}: tensor {name!r} has shape {list(numbers.shape)}, expected "
                f"{list(self.shape(name))}"
            )
        return torch.from_numpy(np.array(numbers, dtype=np.float32).reshape(-1))

    def _process(self, name: str, numbers: np.ndarray) -> np.ndarray:
        """Undo what llama.cpp changed in a tensor."""
        return self._processor.process(
            weights=numbers,
            name=self._tensors[name].name,
            tensor_key_mapping={},
            parsed_parameters={"tensors": {}},
        ).weights
