"""Contact sheets: everything in its place, nothing missing silently, whatever the language."""

from __future__ import annotations

import io
import time

import numpy as np
import pytest
from PIL import Image, ImageDraw

from newbie_core.review import lettering, marks
from newbie_core.review.contact_sheet import Cell, contact_sheet
from newbie_core.review.places import Look, flowing, matrix

RED, GREEN, BLUE = (200, 30, 30), (30, 160, 60), (30, 60, 200)
LOOK = Look.of(192)


def make_picture(colour=RED, size=(64, 64)):
    return Image.new("RGB", size, colour)


def make_cell(name="one", image=None, **change):
    return Cell(id=name, image=image or make_picture(), **change)


def make_matrix(rows, columns, image=make_picture):
    return [Cell(id=f"{r}/{c}", image=image(), row=r, column=c) for r in rows for c in columns]


def colours(page):
    return {colour for _, colour in page.getcolors(page.width * page.height)}


def boxes(page, colour):
    """The rectangle around all pixels of one colour."""
    return Image.fromarray((np.asarray(page) == colour).all(axis=2)).getbbox()


def overlaps(one, other, box):
    return abs(one[0] - other[0]) < box[0] and abs(one[1] - other[1]) < box[1]


@pytest.mark.parametrize("count", [1, 2, 5, 12, 100, 400])
@pytest.mark.parametrize("box", [(192, 192), (128, 192), (192, 96)])
def test_a_flowing_grid_keeps_its_order_inside_the_page_without_overlap(count, box):
    layout = flowing(count, box, 30, LOOK)
    assert layout.places == sorted(layout.places, key=lambda place: (place[1], place[0]))
    assert len(set(layout.places)) == count
    assert all(x + box[0] <= layout.width and y + box[1] + 30 <= layout.height for x, y in layout.places)
    assert not any(overlaps(layout.places[0], other, box) for other in layout.places[1:])


def test_a_flowing_grid_is_about_as_wide_as_a_page():
    layout = flowing(100, (128, 192), 30, LOOK)
    assert 1.2 < layout.width / layout.height < 1.9


def test_a_few_pictures_stand_on_one_line():
    assert {y for _, y in flowing(4, (192, 192), 30, LOOK).places} == {0}


def test_nothing_to_show_is_a_page_with_its_title():
    assert contact_sheet([], title="Empty").height > 50
    assert contact_sheet([], title="Empty", rows=[], columns=[]).height > 50


def test_a_matrix_puts_pictures_under_their_column_and_beside_their_row():
    layout = matrix(["a", "b", "c"], ["x", "y"], [(0, 0), (1, 2), (1, 0)], (100, 150), 0, LOOK)
    first, last, below = layout.places
    assert first[0] == below[0] < last[0] and below[1] == last[1] > first[1]
    assert len(layout.empty) == 3
    heads = [label for label in layout.labels if label.align == "centre"]
    assert [label.lines for label in heads] == [("a",), ("b",), ("c",)]
    assert heads[0].x == first[0] + 50 and heads[2].x == last[0] + 50
    sides = [label for label in layout.labels if label.align == "left"]
    assert first[1] < sides[0].baseline < first[1] + 150 < sides[1].baseline


def test_a_matrix_page_shows_each_picture_where_its_row_and_column_meet():
    cells = [
        make_cell("1", make_picture(RED), row="x", column="a"),
        make_cell("2", make_picture(GREEN), row="x", column="b"),
        make_cell("3", make_picture(BLUE), row="y", column="b"),
    ]
    page = contact_sheet(cells, title="t", rows=["x", "y"], columns=["a", "b"], cell=64)
    red, green, blue = (boxes(page, colour) for colour in (RED, GREEN, BLUE))
    assert red[1] == green[1] and green[0] == blue[0]
    assert red[2] < green[0] and green[3] < blue[1]
    assert (red[2] - red[0], red[3] - red[1]) == (62, 62)


@pytest.mark.parametrize(
    ("size", "shape"), [((200, 300), (64, 96)), ((300, 200), (96, 64)), ((50, 50), (96, 96))]
)
def test_pictures_keep_their_shape_and_fill_their_place(size, shape):
    page = contact_sheet([make_cell(image=make_picture(size=size))], title="t", cell=96)
    left, top, right, bottom = boxes(page, RED)
    assert (right - left + 2, bottom - top + 2) == shape


def test_pictures_of_several_shapes_share_square_places():
    cells = [make_cell("a", make_picture(RED, (40, 80))), make_cell("b", make_picture(BLUE, (80, 40)))]
    page = contact_sheet(cells, title="t", cell=100)
    red, blue = boxes(page, RED), boxes(page, BLUE)
    assert blue[2] - blue[0] == red[3] - red[1] == 98
    assert red[3] == blue[3]


def test_a_missing_picture_is_hatched_and_a_place_nobody_asked_for_is_not():
    cells = [make_cell(row="x", column="a"), Cell(id="2", image=None, row="x", column="b", note="rejected")]
    missing = contact_sheet(cells, title="t", rows=["x"], columns=["a", "b"])
    unasked = contact_sheet(cells[:1], title="t", rows=["x"], columns=["a", "b"])
    assert marks.HATCH in colours(missing)
    assert marks.HATCH not in colours(unasked)


@pytest.mark.parametrize("badge", ["new", "changed", "rejected", "approved by Mina"])
def test_a_badge_stands_on_the_picture_and_in_the_legend(badge):
    page = contact_sheet([make_cell(badge=badge)], title="t")
    plain = contact_sheet([make_cell()], title="t")
    assert marks.badge_colour(badge) in colours(page) - colours(plain)
    assert boxes(page, marks.badge_colour(badge))[1] < boxes(page, RED)[1]


def test_only_so_many_pictures_are_loaded_and_the_others_are_counted(monkeypatch):
    loaded, drawn = [], written(monkeypatch)

    def load(number):
        loaded.append(number)
        return make_picture()

    cells = [Cell(id=str(n), image=lambda n=n: load(n)) for n in range(30)]
    contact_sheet(cells, title="t", cell=48, max_cells=12)
    assert loaded == list(range(12))
    assert "… and 18 more" in drawn and "30 pictures" in drawn


def test_a_matrix_that_is_too_large_keeps_whole_rows(monkeypatch):
    drawn = written(monkeypatch)
    rows, columns = list("abcdefgh"), list("12345")
    contact_sheet(make_matrix(rows, columns), title="t", rows=rows, columns=columns, cell=48, max_cells=17)
    assert {"a", "b", "c"} <= set(drawn) and "d" not in drawn
    assert "… and 25 more" in drawn


def test_several_pictures_in_one_place_show_the_first_and_a_count(monkeypatch):
    drawn = written(monkeypatch)
    cells = [make_cell(str(n), row="x", column="a") for n in range(3)]
    contact_sheet(cells, title="t", rows=["x"], columns=["a"])
    assert "+2" in drawn and not any("more" in text for text in drawn)


@pytest.mark.parametrize(
    "place", [{}, {"row": "x"}, {"row": "x", "column": "?"}, {"row": "?", "column": "a"}]
)
def test_a_cell_without_a_place_in_the_matrix_is_refused(place):
    with pytest.raises(ValueError, match='cell "one" belongs to row'):
        contact_sheet([make_cell(**place)], title="t", rows=["x"], columns=["a"])


@pytest.mark.parametrize("cell", [0, 47, 5000])
def test_a_senseless_size_is_refused(cell):
    with pytest.raises(ValueError, match="48 to 1024"):
        contact_sheet([], title="t", cell=cell)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "LA", "CMYK", "I;16"])
def test_pictures_of_any_mode_are_shown_and_left_as_they_were(mode):
    image = Image.new(mode, (30, 20))
    before = image.tobytes()
    assert contact_sheet([make_cell(image=image)], title="t").mode == "RGB"
    assert (image.mode, image.size, image.tobytes()) == (mode, (30, 20), before)


def test_transparent_pixels_show_the_paper():
    page = contact_sheet([make_cell(image=Image.new("RGBA", (50, 50), (255, 0, 0, 0)))], title="t")
    assert not any(red > 200 and green < 100 for red, green, _ in colours(page))


def test_a_jpeg_from_a_file_is_read_small():
    buffer = io.BytesIO()
    make_picture(size=(1600, 1600)).save(buffer, "JPEG")
    images = []

    def load():
        images.append(Image.open(buffer))
        return images[0]

    contact_sheet([Cell(id="a", image=load)], title="t", cell=96)
    assert images[0].width <= 400


def test_equal_cells_give_equal_pages():
    pages = [contact_sheet([make_cell(badge="new")], title="t", subtitle="s") for _ in range(2)]
    assert pages[0].tobytes() == pages[1].tobytes()


def test_a_long_title_and_long_captions_stay_on_the_page(monkeypatch):
    page = contact_sheet([make_cell("caption " * 40)], title="a very long title " * 20, cell=96)
    assert page.width <= 4 * 96 + 2 * Look.of(96).margin
    margin = page.crop((page.width - 15, 0, page.width, page.height))
    assert colours(margin) == {marks.PAPER}


def test_shortening_keeps_both_ends():
    short = lettering.shortened("alexandria_of_the_northern_library", 14, 120)
    assert short.startswith("alex") and short.endswith("rary") and "…" in short
    assert lettering.text_width(short, 14) <= 120
    assert lettering.shortened("fits", 14, 120) == "fits"
    assert lettering.shortened("nothing fits here", 14, 1) == "…"


def test_wrapping_fills_lines_and_shortens_the_last():
    lines = lettering.wrapped("closed eyes, blush, tears and a very long rest", 14, 90, 2)
    assert len(lines) == 2 and lines[0] == "closed eyes," and "…" in lines[1]
    assert lettering.wrapped("角色", 14, 90, 2) == ["角色"] or "\\u89d2" in "".join(
        lettering.wrapped("角色", 14, 90, 2)
    )


@pytest.fixture
def bare_machine(monkeypatch):
    """A container without a single font file."""
    monkeypatch.setattr(lettering, "FONT_FILES", ())
    for cached in (lettering._faces, lettering._face_of):
        cached.cache_clear()
    yield
    for cached in (lettering._faces, lettering._face_of):
        cached.cache_clear()


def test_a_damaged_font_file_is_passed_over(bare_machine, monkeypatch, tmp_path):
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    monkeypatch.setattr(lettering, "FONT_FILES", (("broken.ttf", 0),))
    monkeypatch.setattr(lettering, "_font_folders", lambda: [tmp_path])
    assert lettering._faces() == (lettering.BUILT_IN,)


def test_a_very_long_text_is_shortened_in_time():
    start = time.monotonic()
    assert len(lettering.shortened("word " * 20_000, 14, 300)) < 100
    assert len(lettering.wrapped("word " * 20_000, 14, 300, 4)) == 4
    assert time.monotonic() - start < 5


def test_without_fonts_a_character_becomes_its_escape_and_never_a_box(bare_machine, monkeypatch):
    drawn = written(monkeypatch, clean=True)
    contact_sheet([make_cell("Mina 角")], title="冬 🦊")
    assert "Mina \\u89d2" in drawn and "\\u51ac \\U0001f98a" in drawn


def test_control_characters_never_reach_the_page(monkeypatch):
    drawn = written(monkeypatch, clean=True)
    contact_sheet([make_cell("a\x07b\u202ec")], title="two\nlines")
    assert "two lines" in drawn and "a\\x07b\\u202ec" in drawn


@pytest.mark.parametrize("text", ["mina", "角色一号", "ヴァイオレット", "café — “x”", "🦊", "عربي", "\u0301"])
def test_every_character_that_is_drawn_has_a_glyph(text):
    for char in lettering._clean(text):
        assert lettering._face_of(char) is not None
    page = Image.new("RGB", (400, 60), "white")
    lettering.draw_text(ImageDraw.Draw(page), (10, 40), text, 20, (0, 0, 0))
    assert page.getbbox() is not None and len(colours(page)) > 1


def written(monkeypatch, *, clean=False):
    """Every text that reaches the page, as given or as the letters drawn."""
    drawn = []
    real = lettering.draw_text

    def draw_text(pen, at, text, *rest, **options):
        drawn.append(lettering._clean(text) if clean else text)
        real(pen, at, text, *rest, **options)

    for module in ("contact_sheet", "marks"):
        monkeypatch.setattr(f"newbie_core.review.{module}.draw_text", draw_text)
    return drawn
