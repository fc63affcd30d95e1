import pytest

from negmerge.settings.compute import Compute
from negmerge.settings.study import load_study

EXACT = Compute().model_dump()
FAST = EXACT | {
    "preset": "fast", "precision": "bf16", "channels_last": True, "fused": True, "drafts": True,
    "deterministic": False,
}  # fmt: skip


@pytest.mark.parametrize(
    ("given", "keys"),
    [
        ("exact", EXACT),
        ("fast", FAST),
        ({"preset": "fast", "compile": True}, FAST | {"compile": True}),
        ({"fused": True}, EXACT | {"fused": True}),
    ],
)
def test_a_study_names_a_preset_or_keys_beside_it(config, change_yaml, given, keys):
    change_yaml(config / "studies" / "example.yaml", "compute", given)
    found = load_study(config, "example").compute
    assert found.model_dump() == keys
    # As a job reads it.
    assert Compute.model_validate(found.model_dump()) == found
