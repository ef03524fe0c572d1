"""Classes of one's own found in fixed lists of names, and what becomes of the lists' outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from avparse.data.class_names import NameList, find_classes, read_class_map
from avparse.data.class_names.class_map import shipped_map
from avparse.data.vocabulary import LLP_CLASSES
from avparse.foundation.errors import UserError
from tests.name_lists import AUDIOSET_NAMES, imagenet_list

AUDIOSET = NameList("audioset", AUDIOSET_NAMES, exclusive=False)
_NAMES = ("bell cote, bell cot", "fox", "hen", "lawn mower", "red fox, Vulpes vulpes")
TOY = NameList("imagenet", _NAMES, exclusive=True)


@pytest.mark.parametrize(
    ("name", "places"),
    [
        ("Foxes", (1,)),  # the whole name before a synonym
        ("lawnmower", (3,)),
        ("Lawn_mowers", (3,)),
        ("bell cots", (0,)),
        ("VULPES VULPES", (4,)),
        ("Bell cote, bell cot", (0,)),
        ("mower", ()),
        ("", ()),
    ],
)
def test_case_plural_and_synonyms_do_not_matter(name: str, places: tuple[int, ...]) -> None:
    assert TOY.find(name) == places


def test_every_llp_class_is_an_audioset_name_and_the_shipped_map_agrees() -> None:
    found = find_classes(LLP_CLASSES, AUDIOSET)
    assert [AUDIOSET.names[places[0]].casefold() for places in found.members] == [
        AUDIOSET.names[shipped_map().find(name, AUDIOSET)[0]].casefold()  # type: ignore[index]
        for name in LLP_CLASSES
    ]
    assert found.unknown == ()
    assert found.explain() == ""


def test_llp_in_imagenet_is_as_documented() -> None:
    names = imagenet_list()
    found = find_classes(LLP_CLASSES, names)
    members = dict(zip(LLP_CLASSES, found.members, strict=True))
    assert members["Dog"] == tuple(range(151, 269))
    assert members["Chicken_rooster"] == (7, 8)
    assert members["Telephone_bell_ringing"] == (487, 528, 707)
    assert (members["Cello"], members["Violin_fiddle"], members["Chainsaw"]) == ((486,), (889,), (491,))
    silent = {name for name, able in zip(LLP_CLASSES, found.judges, strict=True) if not able}
    nothing = {"Speech", "Cheering", "Fire_alarm", "Singing", "Baby_laughter", "Helicopter", "Baby_cry_infant_cry"}
    assert silent == nothing | {"Blender", "Clapping"}
    assert found.unknown == ()
    for name, lists in shipped_map().entries.items():  # every entry names something that is there
        asked = len(lists["imagenet"])
        assert len(shipped_map().find(name, names) or ()) >= asked, name


def test_an_unknown_class_is_told_with_the_nearest_names_in_one_line() -> None:
    found = find_classes(["Hen", "Chiken", "Mower", "Zither"], TOY)
    assert found.judges.tolist() == [True, False, False, False]
    assert found.unknown == ("Chiken", "Mower", "Zither")
    told = find_classes(["Mower", "Zither"], TOY).explain()
    assert told.startswith(
        "list 'imagenet': 'Mower' is no name of it; near it: 'lawn mower'; 'Zither' is no name of it"
    )
    assert "--class-map FILE" in told
    assert "\n" not in told


def test_a_map_of_ones_own_goes_first_and_may_say_none(tmp_path: Path) -> None:
    path = tmp_path / "map.yaml"
    path.write_text("Hen: {imagenet: []}\nPet: {imagenet: [fox, 2-3, 3]}\nDog: {audioset: [Bark]}\n")
    found = find_classes(["Hen", "Pet", "Fox", "Banjo"], TOY, path)
    assert found.members == ((), (1, 2, 3), (1,), ())
    assert found.unknown == ()  # the shipped map knows Banjo, this list does not
    assert read_class_map(path).find("Dog", TOY) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Pet: {imagenet: [foxx]}", "map.yaml: Pet: 'foxx' is no name of the list 'imagenet'; near it: 'fox'"),
        ("Pet: {imagenet: [3-9]}", "map.yaml: Pet: '3-9' is no position of the list 'imagenet'; give 0 to 4"),
        ("Pet: {imagnet: [fox]}", "map.yaml: Pet: no list 'imagnet'; did you mean 'imagenet'"),
        ("Pet: {imagenet: fox}", "map.yaml: Pet.imagenet: 'fox' is no list of names"),
        ("Pet: fox", "map.yaml: class 'Pet' has 'fox'; write CLASS:"),
        ("- Pet", "map.yaml: not a class map; write CLASS:"),
    ],
)
def test_a_bad_map_is_told_in_one_line(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "map.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        find_classes(["Pet"], TOY, path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_logit_of_a_class_is_the_log_odds_of_its_names(tmp_path: Path) -> None:
    path = tmp_path / "map.yaml"
    path.write_text("Pet: {imagenet: [fox, hen]}\nAll: {imagenet: [0-4]}\n")
    outputs = torch.randn(6, 5, generator=torch.Generator().manual_seed(0)).double() * 3
    classes = ["Pet", "Zither", "Hen", "All"]
    p = outputs.softmax(dim=1).numpy()
    ours = find_classes(classes, TOY, path).logits(outputs).numpy()
    both = p[:, 1] + p[:, 2]
    np.testing.assert_allclose(ours[:, 0], np.log(both / (1 - both)), rtol=1e-9)
    np.testing.assert_allclose(ours[:, 2], np.log(p[:, 2] / (1 - p[:, 2])), rtol=1e-9)
    assert np.isnan(ours[:, 1]).all()
    assert (ours[:, 3] == 50).all()
    free = NameList("imagenet", TOY.names, exclusive=False)
    q = outputs.sigmoid().numpy()
    any_of = 1 - (1 - q[:, 1]) * (1 - q[:, 2])
    ours = find_classes(classes, free, path).logits(outputs).numpy()
    np.testing.assert_allclose(ours[:, 0], np.log(any_of / (1 - any_of)), rtol=1e-9)
    np.testing.assert_allclose(ours[:, 2], outputs[:, 2], rtol=1e-9)
    far = find_classes(classes, free, path).logits(torch.tensor([[0.0, -200, -300, 0, 0], [0, 200, 0, 0, 0]]))
    assert far[:, 0].tolist() == [-50, 50]


def test_another_mapping_has_another_digest(tmp_path: Path) -> None:
    path = tmp_path / "map.yaml"
    path.write_text("Hen: {imagenet: [fox]}\n")
    assert find_classes(["Hen"], TOY).digest != find_classes(["Hen"], TOY, path).digest
    assert find_classes(["Hen"], TOY).digest == find_classes(["Hens"], TOY).digest
