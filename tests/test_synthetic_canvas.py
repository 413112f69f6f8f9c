from __future__ import annotations

import numpy as np
import pytest

from occlufer.builders.synthetic.canvas import (
    Stencil,
    cover,
    cut,
    new_canvas,
    paint,
    polygon,
    tint,
    under,
    within,
)
from occlufer.builders.synthetic.outlines import curve, ellipse, floats, tapered
from occlufer.schema import FACE_PARTS, OCCLUSION_TYPES

SQUARE = floats(((20, 30), (60, 30), (60, 80), (20, 80)))


def area(stencil: Stencil) -> float:
    return float(stencil.alpha.sum())


def test_a_polygon_covers_its_area() -> None:
    # OpenCV's smooth edge reaches a third of a pixel beyond the outline.
    assert area(polygon(SQUARE)) == pytest.approx(40.7 * 50.7, rel=0.04)


@pytest.mark.parametrize("soft_px", [0.8, 4.0])
def test_a_soft_edge_keeps_the_area(soft_px: float) -> None:
    assert area(polygon(SQUARE, soft_px)) == pytest.approx(area(polygon(SQUARE)), rel=0.02)


def test_a_shape_beside_the_canvas_paints_nothing() -> None:
    canvas = new_canvas()
    paint(canvas, polygon(SQUARE + np.float32(500)), (255.0, 255.0, 255.0), part=1)
    cover(canvas, polygon(SQUARE - np.float32(500)), (255.0, 255.0, 255.0), "hand")
    assert not canvas.rgb.any()
    assert not canvas.parts.any()


def test_cover_marks_exactly_what_it_paints_by_half() -> None:
    canvas = new_canvas()
    shape = polygon(ellipse(floats((100, 90)), (30.3, 17.7), 0.4))
    cover(canvas, shape, (200.0, 100.0, 50.0), "object")
    marked = canvas.occluders == 1 + OCCLUSION_TYPES.index("object")
    assert (marked == (canvas.coverage >= 0.5)).all()
    assert (marked == (canvas.parts == FACE_PARTS.index("occluder"))).all()
    assert (canvas.rgb[0] >= 100).sum() == marked.sum()


def test_cut_and_within_keep_what_two_shapes_share() -> None:
    whole, half = polygon(SQUARE), SQUARE + floats((20, 0))
    assert area(cut(whole, half)) == pytest.approx(20.7 * 50.7, rel=0.06)
    np.testing.assert_allclose(within(polygon(half), whole).alpha, cut(whole, half).alpha)


def test_tint_multiplies_only_under_the_shape() -> None:
    canvas = new_canvas(np.full((3, 224, 224), 100, np.float32))
    tint(canvas, polygon(SQUARE), floats((0.5, 1, 2)))
    assert canvas.rgb[:, 50, 40].tolist() == [50, 100, 200]
    assert canvas.rgb[:, 150, 150].tolist() == [100, 100, 100]


def test_under_is_a_view() -> None:
    canvas = new_canvas()
    window = under(canvas, (slice(3, 5), slice(7, 9)))
    window += 9
    assert canvas.rgb.sum() == 3 * 4 * 9


@pytest.mark.parametrize("closed", [False, True], ids=["open", "closed"])
def test_a_curve_goes_through_its_points(closed: bool) -> None:
    points = curve(SQUARE, closed, steps=4)
    np.testing.assert_allclose(points[::4], SQUARE, atol=1e-4)


def test_a_tapered_stroke_is_thin_at_its_ends_and_wide_between() -> None:
    line = floats([(float(x), 50.0) for x in range(11)])
    outline = tapered(line, 6.0)
    widths = np.abs(outline[:11, 1] - outline[11:, 1][::-1])
    assert widths[0] == pytest.approx(0, abs=1e-4)
    assert widths[5] == pytest.approx(6, abs=1e-3)
