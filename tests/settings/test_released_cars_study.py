"""The study `released-cars` does the authors' notebook over, from their own files."""

from negmerge.released.converting import output_name
from negmerge.reporting.cells import read_published
from negmerge.settings.study import load_study


def test_it_is_the_study_cars_with_a_given_pool(config):
    ours, cars = (
        load_study(config, name).experiments["vit-b-32"].model_dump()
        for name in ("released-cars", "cars")
    )
    changed = {key for key in cars if ours[key] != cars[key]}
    assert changed == {"base", "finetune", "pool", "methods"}
    assert ours["methods"].keys() == {"pretrained", "negmerge"}


def test_its_points_are_the_paper_s_30_by_the_names_of_the_authors_files(config):
    released, cars = (
        load_study(config, name).experiments["vit-b-32"] for name in ("released-cars", "cars")
    )
    assert released.points("negmerge") == cars.points("negmerge")
    for point, file in released.pool.paths.items():
        assert output_name(file) == point
    assert not list(released.runs("cars", load_study(config, "cars").catalogue, None))


def test_what_is_printed_beside_its_tables_is_known(config):
    study = load_study(config, "released-cars")
    assert {name: table.published for name, table in study.tables.items()} == {
        "sweep": ["cars_b32_sweep"],
        "test": ["cars_b32_test"],
        "sparsity": ["cars_b32_kept"],
    }
    [cells] = read_published([config / "published" / "cars_b32_kept.csv"]).values()
    kept, zeros = cells["value"]
    assert int(kept) == 10_961_529
    assert float(zeros) == round(100 * (1 - int(kept) / 113_448_705), 4)
