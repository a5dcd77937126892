"""The steps of ``ocr`` between the networks."""

from typing import Any

import numpy as np
import pytest

from tests.model_repository.beside import VISION, module

components = module("ocr", "components")
rectangles = module("ocr", "rectangles")
resampling = module("ocr", "resampling")
text_lines = module("ocr", "text_lines")
line_tensors = module("ocr", "line_tensors")
page = module("ocr", "page")
ocr_settings = module("ocr", "ocr_settings")

SETTINGS = ocr_settings.Settings(
    text_score=0.5,
    min_height=30,
    width_height_ratio=8,
    max_side_len=2000,
    min_side_len=30,
    limit_side_len=736,
    thresh=0.3,
    box_thresh=0.5,
    max_candidates=1000,
    unclip_ratio=1.6,
    cls_thresh=0.9,
    rec_batch_num=6,
    rec_lines_per_call=1,
    max_enlarged_megapixels=8,
)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * width).integers(0, 256, (height, width, 3), dtype=np.uint8)


def mask(*rows: str) -> np.ndarray:
    return np.array([[letter == "#" for letter in row] for row in rows])


def test_settings_say_which_parameter_is_wrong() -> None:
    with pytest.raises(ValueError, match="text_score must be a number, not 'half'"):
        ocr_settings.Settings.read({"text_score": {"string_value": "half"}})


def test_components_are_told_apart_and_corners_connect() -> None:
    found = components.outlines(mask("##...#", "..#..#", "......", "###..."))
    spans = [(part.min(axis=0).tolist(), part.max(axis=0).tolist()) for part in found]
    assert spans == [([0, 3], [2, 3]), ([5, 0], [5, 1]), ([0, 0], [2, 1])]


def test_a_ring_and_a_fork_are_one_component_each() -> None:
    assert len(components.outlines(mask("#####", "#...#", "#.#.#", "#####"))) == 2 - 1
    assert len(components.outlines(mask("#.#.#", "#.#.#", "#####"))) == 1


def test_nothing_has_no_components() -> None:
    assert components.outlines(np.zeros((4, 4), np.bool_)) == []


@pytest.mark.parametrize("seed", range(20))
def test_components_agree_with_a_flood_fill(seed: int) -> None:
    given = np.random.default_rng(seed).random((12, 17)) < 0.35
    left, count = {(int(y), int(x)) for y, x in np.argwhere(given)}, 0
    while left:
        count, reached = count + 1, [left.pop()]
        while reached:
            y, x = reached.pop()
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= near
            reached += near
    assert len(components.outlines(given)) == count


@pytest.mark.parametrize("degrees", [0, 3, 30, 45, 77, 90])
def test_the_smallest_rectangle_is_the_one_that_was_turned(degrees: float) -> None:
    turn = np.radians(degrees)
    grid = np.stack(np.meshgrid(np.arange(61), np.arange(21)), axis=-1).reshape(-1, 2)
    matrix = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    corners, side = rectangles.smallest_rectangle(grid @ matrix + 100)
    assert side == pytest.approx(20, abs=1e-3)
    sides = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
    assert sorted(sides.tolist()) == pytest.approx([20, 20, 60, 60], abs=1e-3)


def test_points_on_a_line_have_no_width() -> None:
    assert rectangles.smallest_rectangle(np.array([[0, 0], [5, 5], [9, 9]]))[1] == 0
    assert rectangles.smallest_rectangle(np.array([[3, 4]]))[1] == 0


def test_a_rectangle_grows_by_area_times_ratio_over_perimeter() -> None:
    corners = np.array([[100, 50], [200, 50], [200, 70], [100, 70]], float)
    grown, side = rectangles.grown(corners, 1.5)
    distance = 100 * 20 * 1.5 / 240
    assert side == pytest.approx(20 + 2 * distance, abs=1.1)
    assert grown[0].tolist() == pytest.approx([100 - distance, 50 - distance], abs=1.1)
    assert grown[2].tolist() == pytest.approx([200 + distance, 70 + distance], abs=1.1)


def test_text_is_found_where_the_map_is_high_in_reading_order() -> None:
    likelihood = np.zeros((160, 320), np.float32)
    likelihood[100:110, 20:120] = 0.9
    likelihood[22:32, 180:300] = 0.9
    likelihood[20:30, 20:120] = 0.9
    likelihood[60:70, 20:120] = 0.35  # seen, but not likely enough
    likelihood[140:142, 10:12] = 0.9  # too small
    boxes = text_lines.find(likelihood, 320, 640, SETTINGS)
    assert len(boxes) == 3
    for box, (x, y) in zip(boxes, [(70, 25), (240, 27), (70, 105)], strict=True):
        assert box.mean(axis=0) / 2 == pytest.approx([x, y], abs=2)
        assert (box == np.rint(box)).all()


def test_boxes_stay_within_the_image() -> None:
    box = text_lines.find(np.full((64, 96), 0.9, np.float32), 64, 96, SETTINGS)[0]
    assert (box.min(axis=0).tolist(), box.max(axis=0).tolist()) == ([0, 0], [95, 63])


def test_resizing_to_the_same_size_changes_nothing() -> None:
    image = noise(7, 9)
    assert np.array_equal(resampling.resized(image, 7, 9), image)


def test_resizing_is_linear_between_pixel_centers() -> None:
    image = np.repeat(np.array([[[0], [100]], [[0], [100]]], np.uint8), 3, axis=2)
    assert resampling.resized(image, 2, 4)[0, :, 0].tolist() == [0, 25, 75, 100]
    assert resampling.resized(image, 5, 4)[:, 1, 0].tolist() == [25] * 5


@pytest.mark.parametrize(("height", "width"), [(33, 65), (100, 40), (3, 200), (1, 1)])
def test_resizing_agrees_with_the_formula(height: int, width: int) -> None:
    image = noise(31, 47)
    rows = ((np.arange(height) + 0.5) * 31 / height - 0.5).clip(0, 30)
    columns = ((np.arange(width) + 0.5) * 47 / width - 0.5).clip(0, 46)
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    dy, dx = (rows - top)[:, None, None], (columns - left)[None, :, None]
    below, right = np.minimum(top + 1, 30), np.minimum(left + 1, 46)
    upper = image[top][:, left] * (1 - dx) + image[top][:, right] * dx
    lower = image[below][:, left] * (1 - dx) + image[below][:, right] * dx
    exact = upper * (1 - dy) + lower * dy
    assert np.abs(resampling.resized(image, height, width) - exact).max() <= 1


def test_an_upright_box_is_a_plain_cut() -> None:
    image = noise(40, 60)
    box = np.array([[10, 5], [50, 5], [50, 25], [10, 25]], np.float32)
    assert np.array_equal(resampling.straightened(image, box), image[5:25, 10:50])


def test_a_homography_maps_the_corners() -> None:
    corners = np.array([[3, 4], [90, 10], [85, 40], [1, 33]], np.float32)
    matrix = resampling.homography(80, 20, corners)
    for x, y, corner in zip((0, 80, 80, 0), (0, 0, 20, 20), corners, strict=True):
        u, v, w = matrix @ [x, y, 1]
        assert [u / w, v / w] == pytest.approx(corner.tolist())


def test_a_slanted_box_is_straightened() -> None:
    y, x = np.mgrid[0:80, 0:200]
    ramp = np.repeat((x * 0.9 + y * 0.4)[:, :, None], 3, axis=2).astype(np.uint8)
    corners = np.array([[20, 10], [170, 40], [166, 60], [16, 30]], np.float32)
    cut = resampling.straightened(ramp, corners)
    assert cut.shape == (20, 152, 3)
    expected = [
        [u * 0.9 + v * 0.4 for u, v in (a + (b - a) * at for at in (0.25, 0.5, 0.75))] for a, b in [corners[:2]]
    ]
    assert cut[0, [38, 76, 114], 0].tolist() == pytest.approx(expected[0], abs=2)


def test_a_small_image_is_enlarged_for_detection_and_its_boxes_come_back() -> None:
    pixels = noise(200, 400)
    plan = page.Plan.of(200, 400, SETTINGS)
    assert plan.detection == (736, 1472)
    box = np.array([[1, 2], [100, 2], [100, 50], [1, 50]], np.float32)
    assert np.array_equal(plan.page(pixels).back([box])[0], box)


def test_a_large_image_is_reduced() -> None:
    plan = page.Plan.of(3000, 4000, SETTINGS)
    assert plan.size == (1504, 1984)
    back = page.Page(pixels=np.zeros((1504, 1984, 3), np.uint8), height=3000, width=4000, margin=0)
    assert back.back([np.array([[1984, 1504]] * 4, np.float32)])[0, 0].tolist() == [4000, 3000]


def test_a_single_line_gets_margins_that_boxes_do_not_see() -> None:
    plan = page.Plan.of(40, 800, SETTINGS)
    ready = plan.page(noise(40, 800))
    assert plan.margin == (100 * 2 - 40) // 2
    assert ready.pixels.shape == (40 + 2 * plan.margin, 800, 3)
    box = np.array([[0, plan.margin]] * 4, np.float32)
    assert ready.back([box])[0, 0].tolist() == [0, 0]


@pytest.mark.parametrize(("height", "width"), [(1, 2000), (2000, 1), (4, 3000)])
def test_what_would_have_to_be_enlarged_too_far_is_rejected(height: int, width: int) -> None:
    with pytest.raises(page.TooThinError, match=f"{width} x {height} pixels"):
        page.Plan.of(height, width, SETTINGS)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (30, 200), (2000, 2000), (50, 400), (400, 50)])
def test_other_sizes_are_planned_in_multiples_of_32(size: tuple[int, int]) -> None:
    height, width = page.Plan.of(*size, SETTINGS).detection
    assert height % 32 == width % 32 == 0
    assert height * width <= 8e6


def test_an_image_becomes_a_tensor_of_blue_green_red_from_minus_one_to_one() -> None:
    red = np.full((32, 32, 3), (255, 0, 51), np.uint8)
    tensor = line_tensors.picture(red, 32, 64)
    assert tensor.shape == (1, 3, 32, 64)
    assert tensor[0, :, 0, 0].tolist() == pytest.approx([-0.6, -1, 1])


def test_lines_are_padded_with_grey_to_one_width() -> None:
    lines = [np.full((24, 40, 3), 255, np.uint8), np.full((20, 400, 3), 255, np.uint8)]
    assert line_tensors.width_for(lines) == 960
    tensor = line_tensors.batch(lines, 960)
    assert tensor.shape == (2, 3, 48, 960)
    assert (tensor[0, :, :, :80] == 1).all()
    assert (tensor[0, :, :, 80:] == 0).all()
    assert (tensor[1] == 1).all()


def test_tall_lines_are_turned() -> None:
    assert line_tensors.upright(noise(30, 20)).shape == (20, 30, 3)
    assert line_tensors.upright(noise(29, 20)).shape == (29, 20, 3)


def test_repeated_characters_count_once_unless_blanks_part_them() -> None:
    characters = line_tensors.Characters(VISION / "ocr/1/characters.txt")
    assert len(characters) == 6625
    path = [0, 5, 5, 0, 5, 7, 7, 0]
    likelihoods = np.zeros((2, len(path), len(characters)), np.float32)
    likelihoods[0, range(len(path)), path] = [0.9, 0.8, 0.1, 0.9, 0.6, 0.4, 0.9, 0.9]
    likelihoods[1, :, 0] = 1
    letters = (VISION / "ocr/1/characters.txt").read_text(encoding="utf-8").split("\n")
    (text, score), empty = characters.read(likelihoods)
    assert text == letters[4] * 2 + letters[6]
    assert score == pytest.approx((0.8 + 0.6 + 0.4) / 3)
    assert empty == ("", 0.0)


def test_every_parameter_of_the_config_is_a_setting_or_the_steps() -> None:
    config = (VISION / "ocr/config.pbtxt").read_text()
    keys: list[Any] = [line.split('"')[1] for line in config.splitlines() if line.startswith("parameters")]
    assert sorted(keys) == sorted([*ocr_settings.Settings.__dataclass_fields__, "steps"])
