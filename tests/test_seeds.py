from negmerge.seeds import derive_seed


def test_seeds_are_the_same_for_ever():
    name = "mini-clip/digits/finetuned/m1-n1.safetensors"
    assert [derive_seed(seed, name) for seed in (0, 1)] == [1864201466, 1645755623]


def test_seeds_differ_and_fit_into_31_bits():
    seeds = {derive_seed(seed, f"{name}") for seed in range(20) for name in range(20)}
    assert len(seeds) == 400
    assert all(0 <= seed < 2**31 for seed in seeds)
